// One file for both: the service worker, and a page that has to do without one.

import { checkHere } from "./here.js";
import { startWorker } from "./worker.js";

if (typeof ServiceWorkerGlobalScope === "undefined") globalThis.terbitCheckHere = checkHere;
else startWorker();
