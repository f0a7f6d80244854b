"""The first start without torch: the module opens, says what is missing, and installs it after consent
and only then.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slicer.util

from Testing.host.application import Host
from Testing.panel.user import User

TOP = Path(__file__).resolve().parents[2]


class Python:
    """What the module sees of the Python that it runs in: packages that are installed, or not, in some version."""

    def __init__(self, **versions: str | None) -> None:
        self.versions = versions
        self.util = SimpleNamespace(
            find_spec=lambda name: importlib.util.find_spec(name) if self.versions.get(name, "") is not None else None
        )
        self.metadata = SimpleNamespace(
            version=self._version, PackageNotFoundError=importlib.metadata.PackageNotFoundError
        )

    def _version(self, name: str) -> str:
        return self.versions.get(name) or importlib.metadata.version(name)

    def invalidate_caches(self) -> None:
        """There are none."""


def opened(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path, **versions: str | None
) -> tuple[User, Python]:
    """The module over a Python with these packages; None: not installed."""
    monkeypatch.setenv("LCS_MODELS", str(tiny_package.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    from LabelConditionedSegmentationLib.panel import installation

    python = Python(**versions)
    monkeypatch.setattr(installation, "importlib", python)
    user = User(host)
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    return user, python


def without_torch(host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path) -> User:
    """The module over a Python without torch, until the extension PyTorch has installed it."""
    user, python = opened(host, monkeypatch, tiny_package, tmp_path, torch=None)
    host.torch.state = "missing"
    install = host.torch.installTorch

    def install_torch(**wanted: Any) -> Any:
        made = install(**wanted)
        python.versions["torch"] = "2.6.0" if host.torch.state == "installed" else None
        return made

    monkeypatch.setattr(host.torch, "installTorch", install_torch)
    return user


def answer(host: Host, ok: bool) -> None:
    """Lay an answer ready for the next question."""
    import qt

    host.answers.append(qt.QMessageBox.Ok if ok else qt.QMessageBox.Cancel)


def assert_held_back(user: User, sentence: str) -> None:
    """The notice and Apply say what is missing."""
    assert user.ui.setupNotice.visible
    assert sentence in user.ui.setupLabel.text
    assert not user.ui.applyButton.enabled
    assert sentence in user.ui.applyButton.toolTip
    assert user.passes == 0


def test_the_module_opens_without_torch_and_says_what_is_missing(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user = without_torch(host, monkeypatch, tiny_package, tmp_path)
    assert_held_back(user, "PyTorch is not installed yet")
    assert host.asked == []
    assert host.torch.asked == []


def test_a_refusal_changes_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user = without_torch(host, monkeypatch, tiny_package, tmp_path)
    answer(host, ok=False)
    user.press("setupButton")
    assert "downloaded" in host.asked[0].text
    assert host.torch.asked == []
    assert_held_back(user, "PyTorch is not installed yet")


def test_consent_installs_torch_without_a_second_question_and_the_panel_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user = without_torch(host, monkeypatch, tiny_package, tmp_path)
    answer(host, ok=True)
    user.press("setupButton")
    assert host.torch.asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.6,!=2.9.*"}]
    assert len(host.asked) == 1
    assert not user.ui.setupNotice.visible
    assert user.ui.deviceSelector.count > 1
    user.apply()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (None, "PyTorch was not installed"),
        (ValueError("Failed to get computation backend."), "PyTorch could not be installed"),
        (subprocess.CalledProcessError(1, ["pip", "install", "torch"]), "PyTorch could not be installed"),
        (ImportError("libcudart.so"), "PyTorch could not be installed"),
    ],
)
def test_a_failed_installation_is_a_sentence_in_the_panel(
    fault: Exception | None,
    sentence: str,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    tiny_package: Path,
    tmp_path: Path,
) -> None:
    user = without_torch(host, monkeypatch, tiny_package, tmp_path)

    def install_torch(**_wanted: Any) -> None:
        if fault is not None:
            raise fault

    monkeypatch.setattr(host.torch, "installTorch", install_torch)
    answer(host, ok=True)
    user.press("setupButton")
    assert user.said.startswith(sentence)
    assert "Command" not in user.said
    assert user.ui.setupButton.enabled
    assert_held_back(user, "PyTorch is not installed yet")


def test_without_the_extension_pytorch_the_panel_says_where_to_get_it(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user = without_torch(host, monkeypatch, tiny_package, tmp_path)
    host.without("PyTorchUtils")
    user.press("setupButton")
    assert "Extensions Manager" in user.said
    assert host.asked == []


@pytest.mark.parametrize("version", ["2.5.1", "2.9.1+cu126", "1.13"])
def test_a_torch_of_a_wrong_version_is_never_replaced(
    version: str, host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user, _python = opened(host, monkeypatch, tiny_package, tmp_path, torch=version)
    assert_held_back(user, f"PyTorch {version} is installed and >=2.6,!=2.9.* is needed")
    user.press("setupButton")
    assert host.torch.asked == []
    assert host.asked == []
    assert_held_back(user, f"PyTorch {version}")


@pytest.mark.parametrize("version", ["2.6.0", "2.8.0+cpu", "2.10.1", "2.13.0a0+git123"])
def test_a_torch_that_will_do_is_used(version: str, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from LabelConditionedSegmentationLib.panel import installation

    monkeypatch.setattr(installation, "importlib", Python(torch=version))
    assert installation.missing() == ""


def test_remains_of_a_torch_that_was_uninstalled_are_no_torch(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from LabelConditionedSegmentationLib.panel import installation

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    python = Python()
    python.metadata.version = version
    monkeypatch.setattr(installation, "importlib", python)
    assert installation.missing().startswith("PyTorch is not installed yet")


# safetensors


def test_safetensors_is_installed_by_slicers_packaging_where_it_exists(
    host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user, python = opened(host, monkeypatch, tiny_package, tmp_path, safetensors=None)
    assert_held_back(user, "safetensors is not installed yet")
    called = []

    def pip_ensure(requirements: Any, requester: str) -> None:
        called.append((requirements, requester))
        python.versions.pop("safetensors")

    host.packaging(pip_ensure)
    user.press("setupButton")
    ((requirements, requester),) = called
    assert "safetensors>=0.4" in requirements
    assert not any(str(known).startswith("torch>") for known in requirements)
    assert requester == "Label Conditioned Segmentation"
    assert host.asked == []  # pip_ensure asks by itself
    assert not user.ui.setupNotice.visible
    user.apply()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (RuntimeError("User declined package installation"), "safetensors is not installed yet"),
        (subprocess.CalledProcessError(1, ["pip"]), "safetensors could not be installed"),
    ],
)
def test_safetensors_refused_or_failed(
    fault: Exception, sentence: str, host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user, _python = opened(host, monkeypatch, tiny_package, tmp_path, safetensors=None)

    def pip_ensure(requirements: Any, requester: str) -> None:
        raise fault

    host.packaging(pip_ensure)
    user.press("setupButton")
    assert sentence in user.said
    assert_held_back(user, "safetensors is not installed yet")


@pytest.mark.parametrize("ok", [True, False])
def test_an_older_slicer_installs_safetensors_by_pip_after_a_question(
    ok: bool, host: Host, monkeypatch: pytest.MonkeyPatch, tiny_package: Path, tmp_path: Path
) -> None:
    user, python = opened(host, monkeypatch, tiny_package, tmp_path, safetensors=None)
    called: list[list[str]] = []

    def pip_install(requirements: list[str]) -> None:
        called.append(requirements)
        python.versions.pop("safetensors")

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    answer(host, ok)
    user.press("setupButton")
    assert len(host.asked) == 1
    assert user.ui.setupNotice.visible is not ok
    if ok:
        ((option, file),) = called
        lines = [line for line in Path(file).read_text().splitlines() if not line.startswith("#")]
        assert (option, lines) == ("-r", ["safetensors>=0.4"])
    else:
        assert called == []


@pytest.mark.slow
@pytest.mark.parametrize("blocked", [True, False])
def test_opening_and_using_the_module_imports_no_torch(blocked: bool, tiny_package: Path, tmp_path: Path) -> None:
    code = f"""
import importlib.util, os, sys
blocked, find_spec = {blocked}, importlib.util.find_spec
if blocked:
    sys.modules["torch"] = None
    importlib.util.find_spec = lambda name, *rest: None if name.split(".")[0] == "torch" else find_spec(name, *rest)
from Testing.host.application import Host
host = Host()
panel = host.open_module().panel
import slicer, numpy
node = slicer.util.addVolumeFromArray(numpy.random.default_rng(0).integers(1, 900, (20, 20, 20)).astype("int16"))
panel.inputs.set_nodes([node])
panel._inputs_chosen()
panel.ui.allButton.click()
assert panel.ui.setupNotice.visible == blocked
assert panel.ui.applyButton.enabled != blocked
host.run_until(lambda: not panel.runner.is_waiting)
assert not host.errors
assert not [name for name, module in sys.modules.items() if name.split(".")[0] == "torch" and module is not None]
host.close()
print("opened")
"""
    environment = {
        "LCS_MODELS": str(tiny_package.parent),
        "XDG_DATA_HOME": str(tmp_path),
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("opened\n")
