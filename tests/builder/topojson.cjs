// GeoJSON from stdin to TopoJSON and back, by the reference programs. Arguments: folders of topojson-server and topojson-client, steps of the grid (0: none).
// Prints one JSON object: the topology, and each feature's polygons by id as they are decoded from it.
const [server, client, steps] = process.argv.slice(2);
const { topology } = require(server);
const { feature } = require(client);

const made = topology({ areas: JSON.parse(require("node:fs").readFileSync(0)) }, Number(steps));
const polygons = {};
for (const one of feature(made, made.objects.areas).features) {
  const { type, coordinates } = one.geometry;
  polygons[one.id] = type === "Polygon" ? [coordinates] : coordinates;
}
console.log(JSON.stringify({ topology: made, polygons }));
