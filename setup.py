"""Packaging of the connector. Ranges stand here; exact versions with hashes in requirements/*.txt (`make lock`)."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

RUNTIME_REQUIREMENTS = [
    "airbyte-cdk>=7.39.1,<8",
    "filelock>=3.20.1,<5",
    "jsonschema>=4.20,<5",
    "msgspec>=0.20,<1",
    "orjson>=3.10,<4",
    "pendulum>=3.0,<4",
    "PyYAML>=6.0.1,<7",
    "requests>=2.32,<3",
    "shtab>=1.7,<2",
    "urllib3>=2.6,<3",
]

# `source-exact-online load` and source_exact_online.dlt_source.
LOAD_REQUIREMENTS = [
    "adbc-driver-manager>=1.6,<2",
    "adbc-driver-postgresql>=1.6,<2",
    "dlt[duckdb,postgres]>=1.31,<2",
    "pyarrow>=18,<27",
]

# `source-exact-online report`.
REPORT_REQUIREMENTS = ["duckdb>=1.4,<3", "Jinja2>=3.1,<4", "matplotlib>=3.8,<4"]

# credentials.token_store. The binary package brings libpq with it.
POSTGRES_REQUIREMENTS = ["psycopg[binary]>=3.2,<4"]

TEST_REQUIREMENTS = [
    *POSTGRES_REQUIREMENTS,
    "hypothesis>=6.100,<7",
    "pytest>=8.2,<10",
    "pytest-recording>=0.13.2,<1",
]

setup(
    name="airbyte-source-exact-online",
    version=run_path(str(ROOT / "source_exact_online" / "version.py"))["VERSION"],
    description="Airbyte source connector for Exact Online",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The source-exact-online contributors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["airbyte", "exact online", "connector", "elt", "bookkeeping"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Office/Business :: Financial :: Accounting",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["source_exact_online", "source_exact_online.*"]),
    package_data={"source_exact_online": ["py.typed", "**/*.yaml", "**/*.json", "**/*.html"]},
    install_requires=RUNTIME_REQUIREMENTS,
    extras_require={
        "load": LOAD_REQUIREMENTS,
        "postgres": POSTGRES_REQUIREMENTS,
        "report": REPORT_REQUIREMENTS,
        "tests": TEST_REQUIREMENTS,
    },
    entry_points={"console_scripts": ["source-exact-online=source_exact_online.run:run"]},
)
