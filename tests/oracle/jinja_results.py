"""What Jinja2 makes of templates, in the environment that transformers renders chat templates in.

    python jinja_results.py < jobs.json > results.json

jobs      {"now": [year, month, day, hour, minute, second], "templates": [source or {"trl": file name}], "variables": [{...}],
           "cases": [[template, variables], ...]}, numbers of them
results   one per case: the text, or [kind, message] of what was raised ("TypeError", "TemplateError" for raise_exception)

With --list it prints the names of the templates that TRL ships instead.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.simplefilter("ignore")

from transformers.utils import chat_template_utils as utils  # noqa: E402


def trl_folder() -> Path:
    return Path(find_spec("trl").origin).parent / "chat_templates"


def fix_date(now: list[int]) -> None:
    class Fixed(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(*now)

    utils.datetime = Fixed


def source_of(template) -> str:
    return template if isinstance(template, str) else (trl_folder() / template["trl"]).read_text(encoding="utf-8")


class Templates:
    """Templates that were compiled, or what that raised."""

    def __init__(self, sources: list[str]):
        self.environment = utils._cached_compile_jinja_template("").environment
        self.compiled = [self.compile(source) for source in sources]

    def compile(self, source: str):
        try:
            return self.environment.from_string(source)
        except Exception as error:
            return error

    def render(self, index: int, variables: dict):
        template = self.compiled[index]
        try:
            if isinstance(template, Exception):
                raise template
            return template.render(**variables)
        except Exception as error:
            return [type(error).__name__, str(error)]


def main() -> None:
    if sys.argv[1:] == ["--list"]:
        print(json.dumps(sorted(path.name for path in trl_folder().glob("*.jinja"))))
        return
    jobs = json.load(sys.stdin)
    fix_date(jobs.get("now", [2024, 2, 3, 4, 5, 6]))
    templates = Templates([source_of(template) for template in jobs["templates"]])
    results = [templates.render(template, jobs["variables"][variables]) for template, variables in jobs["cases"]]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
