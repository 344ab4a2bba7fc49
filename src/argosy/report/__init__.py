"""report: one self-contained HTML page of a plan, or of why there is none.

`html` makes the page and `write_html` puts it on disk in one step that is never half done. They decide nothing and
read no clock: the same plan gives the same bytes. A plan without a sound certificate is refused.
"""

from __future__ import annotations

import os
import tempfile
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from argosy.errors import OutsideError
from argosy.model.decision import Infeasible, Plan
from argosy.report import svg
from argosy.report.certified import require_certificate
from argosy.report.format import clean
from argosy.report.plan_page import infeasible_page, plan_page


def html(plan: Plan | Infeasible) -> str:
    """The whole page as HTML5 that needs no network and no script. CheckFailed when the certificate is not sound."""
    if isinstance(plan, Plan):
        require_certificate(plan)
        page = plan_page(plan)
    else:
        page = infeasible_page(plan)
    style = resources.files("argosy.report").joinpath("templates/report.css").read_text("utf-8")
    template = _environment().get_template("page.html.j2")
    return template.render(page=page, style=Markup(style), patterns=svg.patterns())


def write_html(plan: Plan | Infeasible, path: Path | str) -> None:
    """Write the page to `path`, all of it or nothing; OutsideError when it cannot be written there."""
    target = Path(path)
    content = html(plan)
    if target.is_dir():
        raise OutsideError(
            f"cannot write the report to {target}: it is a folder; name a file in it, such as {target / 'plan.html'}"
        )
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:80]}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        # mkstemp makes the file private; a report gets what any new file would get.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutsideError(
            f"cannot write the report to {target}: {error.strerror or error}; choose another --report path"
        ) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("argosy.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )


__all__ = ["html", "require_certificate", "write_html"]
