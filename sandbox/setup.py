"""Package of the Exact Online sandbox."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name="exact-online-sandbox",
    version=run_path(str(ROOT / "exact_online_sandbox" / "__init__.py"))["__version__"],
    description="A local server that behaves like the Exact Online REST API, for tests and demos",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["exact_online_sandbox", "exact_online_sandbox.*"]),
    package_data={
        "exact_online_sandbox": ["reference/*.json", "real_payloads/*", "py.typed"],
    },
    install_requires=[
        "orjson>=3.9",
        "starlette>=0.37",
        "tzdata",
        "uvicorn>=0.29",
    ],
    extras_require={"tls": ["cryptography"]},
    entry_points={"console_scripts": ["exact-online-sandbox=exact_online_sandbox.cli:main"]},
)
