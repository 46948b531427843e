"""plan, apply and what publish asks: through the commands, on a whole workspace."""

import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builder.pack import pack_names
from publish.cli.main import terbit as program
from publish.cli.run import now
from publish.errors import DriftError, PendingError, PublishError, TargetError
from publish.guard.patrol import Patrol
from publish.planning.plan import drift, read_plan
from publish.progress import Stages
from publish.release.draft import Draft
from publish.release.flow import Flow
from publish.release.intake import take_in_packages
from publish.release.renewing import renewing
from publish.workspace import Workspace
from tests.election import AREAS, correction, package, row, write_definition
from tests.faults import FaultProxy
from tests.publish.workspace import copy_tree, deliver, encrypt_keys, make_workspace, tree
from tests.storage import Server
from verifier.cli.main import main as terbit_verify

ELSEWHERE_EDITED = "# Tentang\n\nLain.\n"


def terbit(workspace: Path, *words: object) -> Result:
    """Run a command in the workspace, with nobody at a terminal."""
    return CliRunner().invoke(program, [*map(str, words), "-C", str(workspace)])


def done(workspace: Path, *words: object) -> Result:
    result = terbit(workspace, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release is public, and a correction of one station waits in the inbox."""
    made = make_workspace(tmp_path_factory.mktemp("corrected") / "hasil")
    deliver(made)
    done(made, "publish", "--quiet")
    deliver(made, {"correction": correction()})
    return made


@pytest.fixture
def workspace(corrected: Path, tmp_path: Path) -> Path:
    return copy_tree(corrected, tmp_path / "hasil")


def shown(workspace: Path) -> tuple[int, int]:
    """Release and version of the timestamp that the public has."""
    signed = json.loads((workspace / "public" / "uji" / "metadata" / "timestamp.json").read_text())["signed"]
    return signed["meta"]["snapshot.json"]["version"], signed["version"]


def plan_of(workspace: Path, *words: object) -> Path:
    out = workspace.parent / "plan.json"
    result = terbit(workspace, "plan", "--quiet", "-o", out, *words)
    assert result.exit_code == 3, (result.output, result.exception)
    return out


@pytest.mark.parametrize("command", ["plan", "build"])
def test_what_is_unsigned_needs_no_key(workspace: Path, command: str) -> None:
    """With encrypted keys, and with none here, a plan and a build are made all the same; what follows signs them with the passphrase."""
    encrypt_keys(workspace, b"rahasia")
    (workspace.parent / "passphrase").write_bytes(b"rahasia\n")
    (workspace / "keys" / "online").rename(workspace.parent / "online")
    out = workspace.parent / "plan.json"
    done(workspace, "intake", "-q")
    made = terbit(workspace, command, "-q", *(["-o", out] if command == "plan" else []))
    assert made.exit_code == (3 if command == "plan" else 0), (made.output, made.exception)
    (workspace.parent / "online").rename(workspace / "keys" / "online")
    given = ["-q", "--passphrase-file", workspace.parent / "passphrase"]
    done(workspace, *(["apply", out] if command == "plan" else ["push", "--yes"]), *given)
    assert shown(workspace)[0] == 2
    words = ["--root", str(workspace / "keys/metadata/1.root.json"), "--state", str(workspace.parent / "state")]
    checked = CliRunner().invoke(terbit_verify, ["site", str(workspace / "public"), *words])
    assert checked.exit_code == 0, checked.output


def test_plan_tells_votes_and_cost(workspace: Path) -> None:
    """A plan says the votes old and new, leaders, falls and reasons, files and requests, changes nothing in public, and exits with 3."""
    before = tree(workspace / "public")
    told = terbit(workspace, "plan", "--quiet")
    assert told.exit_code == 3
    assert tree(workspace / "public") == before
    for line in (
        "1 package with 1 row; since release 1",
        "  1 Satu             2,433  2,413         -20",
        "  leader changes: 1",
        "    desa 110101 Aman: 1 Satu -> 2 Dua",
        "    110101 Aman, station 2: 1 Satu 100 -> 80",
        "rows revised: transcription 1",
    ):
        assert line in told.stdout.splitlines()
    plan = json.loads(terbit(workspace, "plan", "--quiet", "--json").stdout)
    contest = plan["changes"]["contests"][0]
    assert contest["votes"] == [[1, 2433, 2413], [2, 2208, 2226]]
    assert plan["targets"]["public"]["cost"] is None


def test_nothing_to_plan(workspace: Path) -> None:
    """With everything public, a plan exits with 0 and says so; applied, it renews the timestamp."""
    done(workspace, "publish", "--yes", "--quiet")
    out = workspace.parent / "plan.json"
    told = terbit(workspace, "plan", "--quiet", "-o", out)
    first, *_, last = told.stdout.splitlines()
    assert (told.exit_code, first, last) == (
        0,
        "No new package; since release 2",
        "Nothing would change: release 2 is public.",
    )
    before = shown(workspace)
    done(workspace, "apply", out, "--quiet")
    assert shown(workspace)[0] == before[0]
    assert shown(workspace)[1] > before[1]


def test_apply_publishes_the_plan(workspace: Path) -> None:
    """Applied, a plan's release is public, without a question and without what came into the inbox since."""
    out = plan_of(workspace)
    deliver(workspace, {"later": correction("110102", 3)})
    done(workspace, "apply", out, "--quiet")
    assert shown(workspace)[0] == 2
    assert (workspace / "inbox" / "later").exists()


def test_a_renewed_timestamp_is_no_drift(workspace: Path) -> None:
    """A publisher that runs meanwhile and keeps the last release with a new timestamp does not spoil the plan."""
    out = plan_of(workspace)
    assert isinstance(terbit(workspace, "publish", "--quiet").exception, PendingError)
    done(workspace, "apply", out, "--quiet")
    assert shown(workspace)[0] == 2


def edit_content(workspace: Path) -> None:
    (workspace / "content" / "pages" / "id" / "tentang.md").write_text(ELSEWHERE_EDITED)


def take_more_in(workspace: Path) -> None:
    deliver(workspace, {"later": correction("110102", 3)})
    done(workspace, "intake", "--quiet")


def cut_again(workspace: Path) -> None:
    edit_content(workspace)
    done(workspace, "build", "--quiet")


def draft_of(workspace: Path) -> Draft:
    return Draft(workspace / "build" / "draft" / "2")


def change_draft(workspace: Path) -> None:
    draft = draft_of(workspace)
    index = draft.files / f"{pack_names(draft.files)[0]}.index"
    index.write_bytes(index.read_bytes().replace(b"e", b"f", 1))


def publish_it(workspace: Path) -> None:
    done(workspace, "publish", "--yes", "--quiet")


def another_target(workspace: Path) -> None:
    folders = '[targets.public]\nfolder = "public"\n[targets.more]\nfolder = "more"\n'
    (workspace / "terbit.toml").write_text(f"workers = 1\n{folders}")


def another_program(workspace: Path) -> None:
    change_plan(workspace, builder="0.0.1")


def another_ledger(workspace: Path) -> None:
    change_plan(workspace, ledger="0" * 64)


def change_plan(workspace: Path, **changed: str) -> None:
    path = workspace.parent / "plan.json"
    plan = json.loads(path.read_text())
    plan["basis"].update(changed)
    path.write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (edit_content, "content/pages changed"),
        (take_more_in, "the ledger has 1 more packages"),
        (cut_again, "the ledger has cut release 3 since"),
        (lambda workspace: draft_of(workspace).discard(), "the draft of release 2 is gone"),
        (change_draft, "the draft of release 2 has other files"),
        (publish_it, "target public shows another release"),
        (another_target, "target more was not part of the plan"),
        (another_program, "the plan's is 0.0.1"),
        (another_ledger, "the ledger is another one"),
    ],
    ids=["input", "package", "cut", "no draft", "draft", "target", "new target", "program", "ledger"],
)
def test_drift(workspace: Path, happens: Callable[[Path], None], said: str) -> None:
    """What a plan rests on has changed: apply says what, publishes nothing and exits with 1."""
    out = plan_of(workspace)
    happens(workspace)
    before, records = tree(workspace / "public"), (workspace / "ledger" / "records.jsonl").read_bytes()
    result = terbit(workspace, "apply", out)
    assert isinstance(result.exception, DriftError)
    assert result.exception.exit_code == 1
    assert said in str(result.exception)
    assert f"Plan again: terbit plan -o {out}" in str(result.exception)
    assert (tree(workspace / "public"), (workspace / "ledger" / "records.jsonl").read_bytes()) == (before, records)


def test_an_old_plan(workspace: Path) -> None:
    """When the cut has aged so much that a new one is due, its plan does not fit any more."""
    plan = read_plan(plan_of(workspace))
    with Flow(Workspace(workspace), Stages(quiet=True), datetime.now(UTC) + timedelta(hours=13)) as flow:
        assert [text for text in drift(flow, plan.basis) if "due to be made anew" in text]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"terbit-plan-2"}', b'{"format":"\xff"}', b"[" * 5_000])
def test_no_plan(workspace: Path, data: bytes) -> None:
    """A file that is no plan is refused with one clear line."""
    (workspace / "plan.json").write_bytes(data)
    assert "is not a plan" in str(terbit(workspace, "apply", workspace / "plan.json").exception)


def test_publish_without_a_terminal(workspace: Path) -> None:
    """Where nobody can be asked, figures that fall wait: exit code 3, the last release with a new timestamp, and how to go on."""
    before = shown(workspace)
    result = terbit(workspace, "publish", "--quiet")
    assert isinstance(result.exception, PendingError)
    assert result.exception.exit_code == 3
    assert shown(workspace)[0] == before[0]
    assert shown(workspace)[1] > before[1]
    for said in (
        "! figures fall: 3",
        "! areas where the leader changes: 1",
        "! 25.0 % of all areas",
        "If it is right: terbit publish --yes",
        "If it is wrong: take in the right figures",
    ):
        assert said in result.stderr
    done(workspace, "publish", "--quiet", "--yes")
    assert shown(workspace)[0] == 2


def test_publish_that_needs_no_question(tmp_path: Path) -> None:
    """Figures that only grow go out unasked as long as few areas change; the share is set in terbit.toml."""
    made = make_workspace(tmp_path / "hasil", "workers = 1\n[ask]\nareas_percent = 30\n")
    rows = [row("110101", 1, 10, 5), row("110101", 2, 0, 0, registered=0, voters=0, invalid=0)]
    deliver(made, {"count": package("1101", rows)})
    done(made, "publish", "--quiet")
    deliver(made, {"more": package("1101", [row("110102", 1, 20, 5)])})
    done(made, "publish", "--quiet")
    (made / "terbit.toml").write_text("workers = 1\n[ask]\nareas_percent = 20\n")
    deliver(made, {"again": package("1101", [row("110102", 2, 20, 5)])})
    assert terbit(made, "publish", "--quiet").exception.exit_code == 3  # type: ignore[union-attr]


def block_a_target(workspace: Path) -> None:
    """A second target whose folder is a file."""
    (workspace / "blocked").write_text("")
    (workspace / "terbit.toml").write_text(
        'workers = 1\n[targets.public]\nfolder = "public"\n[targets.more]\nfolder = "blocked"\n'
    )


def test_json_of_a_release_that_waits(workspace: Path) -> None:
    """Where a yes is missing, JSON says which release waits, which one stays and until when its timestamp is good; so does the message."""
    result = terbit(workspace, "publish", "--quiet", "--json")
    assert isinstance(result.exception, PendingError)
    told = json.loads(result.stdout)
    assert (told["release"], told["waiting"], told["files"]) == (1, 2, 0)
    assert told["targets"] == {"public": {"release": 1, "error": None}}
    assert f"release 1 stays, its timestamp good until {told['expires']}" in str(result.exception)


def test_json_of_a_target_that_failed(workspace: Path) -> None:
    """Where one target failed, the exit code is 1 and JSON says which one, why, and what the others show."""
    block_a_target(workspace)
    result = terbit(workspace, "publish", "--quiet", "--yes", "--json")
    assert isinstance(result.exception, TargetError)
    told = json.loads(result.stdout)
    assert (told["release"], told["waiting"], told["targets"]["public"]) == (2, None, {"release": 2, "error": None})
    assert told["targets"]["more"]["release"] == 0
    assert "Not a directory" in told["targets"]["more"]["error"]
    assert str(result.exception).count("more: ") == 1


def test_a_failed_target_is_told_once(workspace: Path) -> None:
    """On the terminal the failure is said when it happens; the last line only names the target and how to go on."""
    block_a_target(workspace)
    result = terbit(workspace, "publish", "--yes")
    assert result.stderr.count("Not a directory") == 1
    assert str(result.exception).startswith("more failed, as said above; ")


def test_plan_with_a_target_that_does_not_answer(workspace: Path) -> None:
    """A plan that could not look at a target says so and exits with 1."""
    block_a_target(workspace)
    result = terbit(workspace, "plan", "--quiet")
    assert result.exit_code == 1
    assert "not reached: more: " in result.stdout


def test_a_new_target_has_no_past(workspace: Path) -> None:
    """Of a target that holds our release but has no record yet, nothing is said about what we last put there."""
    shutil.rmtree(workspace / "build" / "targets")
    assert "does not show what we last put there" not in done(workspace, "publish", "--yes").stderr


@pytest.mark.parametrize(("answer", "code", "release"), [("y", 0, 2), ("n", 3, 1)])
def test_publish_at_a_terminal(workspace: Path, answer: str, code: int, release: int) -> None:
    """At a terminal the operator sees what would fall, and the answer decides."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    words = [sys.executable, "-c", "from publish.cli.main import main; main()", "publish", "-C", str(workspace)]
    result = subprocess.run(words, stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert "Publish release 2?" in result.stdout + result.stderr
    assert (result.returncode, shown(workspace)[0]) == (code, release)


def test_a_question_keeps_the_last_release_fresh(workspace: Path) -> None:
    """While a question is unanswered the timestamp is renewed again and again; after the answer the release goes out over the last one."""
    first = shown(workspace)
    made = Workspace(workspace)
    with made.lock(), Flow(made, Stages(quiet=True), datetime.now(UTC)) as flow:
        take_in_packages(made, (), flow.stages, flow.now)

        def agree(changes: object) -> bool:
            with renewing(flow, timedelta(seconds=0.05), now):
                while shown(workspace)[1] < first[1] + 2:
                    time.sleep(0.01)
            assert shown(workspace)[0] == 1
            return True

        assert flow.publish(agree)["release"] == 2
    assert shown(workspace)[0] == 2


def test_a_question_keeps_nobody_out(workspace: Path) -> None:
    """While a question is unanswered the guard mends pages, and whoever takes packages in meanwhile makes the answer void: nothing is published."""
    page = workspace / "public/uji/index.html"
    right, made = page.read_bytes(), Workspace(workspace)
    other = Workspace(workspace)
    with made.lock(), Flow(made, Stages(quiet=True), datetime.now(UTC)) as flow:
        take_in_packages(made, (), flow.stages, flow.now)

        def agree(changes: object) -> bool:
            with renewing(flow, timedelta(hours=1), now):
                page.unlink()
                page.write_bytes(b"palsu")
                Patrol(workspace, True, lambda: datetime.now(UTC), lambda finding: None, lambda text: None).once()
                assert page.read_bytes() == right
                deliver(workspace, {"late": correction("110102", 1)})
                with other.lock():
                    assert take_in_packages(other, (), Stages(quiet=True), datetime.now(UTC)).accepted
            return True

        with pytest.raises(DriftError, match="while the question was open somebody else took packages in"):
            flow.publish(agree)
        with pytest.raises(PublishError, match="another terbit is publishing"), other.lock():
            pass
    assert shown(workspace)[0] == 1


def test_a_lost_record_is_asked_about_by_its_timestamp(workspace: Path) -> None:
    """With `build/` gone, what is public is known from the timestamp that a target shows: nothing new is published unasked, and old is no news."""
    (workspace / "inbox" / "correction").rename(workspace.parent / "later")
    for path in sorted((workspace / "build").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    done(workspace, "publish", "--quiet")
    assert shown(workspace)[0] == 1


class Removed:
    """A village and a whole regency that a new definition takes away."""

    areas = f"{AREAS}120104,1201,desa,Hilang,domestic,3\n1202,12,kabupaten,Lenyap,domestic,\n120201,1202,desa,Sirna,domestic,3\n"
    pages = ("ppwp/1201/120104", "ppwp/1202/1202", "ppwp/1202/120201")


def redefine(workspace: Path, areas: str) -> None:
    write_definition(workspace / "content", areas=areas)
    sign_definition(workspace)


def sign_definition(workspace: Path) -> None:
    assert terbit(workspace, "keys", "refresh").exit_code == 3
    keys = [word for name in ("root-1", "root-2") for word in ("--key", workspace / "keys" / "offline" / f"{name}.key")]
    done(workspace, "sign", "--yes", *keys)


def verified(workspace: Path) -> dict[str, Any]:
    root = workspace / "keys" / "metadata" / "1.root.json"
    words = ["site", str(workspace / "public"), "--root", str(root), "--state", str(workspace / "client"), "--json"]
    result = CliRunner().invoke(terbit_verify, words)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.fixture
def shrunk(tmp_path: Path) -> Path:
    """A workspace whose second release has lost some areas."""
    made = make_workspace(tmp_path / "hasil")
    redefine(made, Removed.areas)
    deliver(made)
    done(made, "publish", "--quiet")
    redefine(made, AREAS)
    done(made, "publish", "--quiet", "--yes")
    return made


def test_removed_areas(shrunk: Path) -> None:
    """Aliases of areas that are gone show the signed page that says so, their data no results and no signature; the objects stay."""
    public = shrunk / "public" / "uji"
    data = (public / "gone.json").read_bytes()
    assert json.loads(data) == {"election": "uji", "format": "terbit-gone-1"}
    for page in Removed.pages:
        assert (public / f"{page}.html").read_bytes() == (public / "gone-2.html").read_bytes()
        assert (public / f"{page}.json").read_bytes() == (public / f"{page}.json.minisig").read_bytes() == data
        folder, _, name = page.rpartition("/")
        assert len(list((public / "targets" / folder).glob(f"*.{name}.json"))) == 1
        assert 'href="../../index.html"' in (public / f"{page}.html").read_text()
    assert "Halaman ini tidak ada lagi" in (public / "gone.html").read_text()
    verified(shrunk)


def test_removed_areas_stay_so_until_they_come_back(shrunk: Path) -> None:
    """The next releases leave the aliases alone, follow a changed page, and show results again when an area is back."""
    public = shrunk / "public" / "uji"
    alias = public / f"{Removed.pages[0]}.html"
    before = alias.stat().st_ino
    deliver(shrunk, {"correction": correction()})
    done(shrunk, "publish", "--quiet", "--yes")
    assert alias.stat().st_ino == before
    election = (shrunk / "content" / "election.toml").read_text()
    (shrunk / "content" / "election.toml").write_text(election.replace("Pemilihan uji", "Pemilihan lain"))
    sign_definition(shrunk)
    done(shrunk, "publish", "--quiet", "--yes")
    assert alias.read_bytes() == (public / "gone-2.html").read_bytes()
    assert b"Pemilihan lain" in (public / "index.html").read_bytes()
    redefine(shrunk, Removed.areas)
    done(shrunk, "publish", "--quiet", "--yes")
    assert b"Hilang" in alias.read_bytes()
    assert json.loads((public / f"{Removed.pages[0]}.json").read_bytes())["area"]["code"] == "120104"
    verified(shrunk)


def test_removed_content_page(workspace: Path) -> None:
    """A content page that was taken away says so too."""
    (workspace / "content" / "pages" / "id" / "tentang.md").unlink()
    done(workspace, "publish", "--quiet", "--yes")
    public = workspace / "public" / "uji"
    assert (public / "tentang.html").read_bytes() == (public / "gone.html").read_bytes()


@pytest.mark.usefixtures("credentials")
def test_requests_of_a_plan_are_those_of_the_push(storage: Server, tmp_path: Path) -> None:
    """A bucket gets as many requests as the plan of a release named, for a first release and for a correction; their price is in the plan."""
    with FaultProxy(storage.url) as proxy:
        bucket = Server(proxy.url).target("planned/", "prices = { per_1000_puts = 1.0 }")
        made = make_workspace(tmp_path / "hasil", f"workers = 1\n{bucket}")
        deliver(made)
        for again in (False, True):
            if again:
                deliver(made, {"correction": correction()})
            load = json.loads(plan_of(made).read_text())["targets"]["bucket"]
            proxy.requests.clear()
            done(made, "apply", tmp_path / "plan.json", "--quiet")
            probes = 0 if again else 2  # the first push ever finds out what the server honours
            assert [method for method, _ in proxy.requests].count("PUT") - probes == load["puts"]
            assert load["cost"] == pytest.approx(load["puts"] / 1000, rel=0.01)
