"""The token store in PostgreSQL against a real server (`make postgres-test`).

Not collected by `make test`: it needs a server, see `postgres.HOW_TO_GET_ONE`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import psycopg
import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from psycopg import sql

from integration_tests.connector import Connector
from integration_tests.postgres import Gateway, NoPostgresError, database, server, url_of
from integration_tests.sandbox_client import Sandbox
from source_exact_online.auth import token_database, token_store
from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.token_database import TokenDatabase
from source_exact_online.auth.token_record import Owner
from source_exact_online.auth.token_store import TokenStore
from unit_tests.auth_fakes import CLIENT_ID, FakeClock, FakeTokenServer, Fault, Login, configuration
from unit_tests.token_process import ARRIVED, ASKING, DURABLE, kill_at_random, token_server, use_tokens

SPAWN = multiprocessing.get_context("spawn")
TABLE = "public.exact_online_tokens"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    try:
        with server() as url:
            yield url
    except NoPostgresError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """A database of its own."""
    with database(postgres) as found:
        yield found


@pytest.fixture
def gateway(url: str) -> Iterator[Gateway]:
    found = Gateway(url)
    yield found
    found.close()


@pytest.fixture
def roles(postgres: str, url: str) -> Iterator[Any]:
    """Makes roles with a password, each with a schema of its own; they are dropped in the end."""
    made: list[str] = []

    def make(name: str) -> str:
        role = f"{name}_{os.getpid()}"
        made.append(role)
        run(url, "CREATE ROLE {} LOGIN PASSWORD 'geheim'", role)
        run(url, "CREATE SCHEMA {}", role)
        run(url, "ALTER SCHEMA {} OWNER TO {}", role, role)
        return role

    yield make
    for role in made:
        run(url, "DROP OWNED BY {} CASCADE", role)
        run(url, "DROP ROLE {}", role)


def run(url: str, statement: str, *names: str) -> list[Any]:
    """Run a statement; names take the places of {}."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def record(url: str) -> dict[str, Any]:
    """The one record there is."""
    ((text,),) = run(url, f"SELECT record FROM {TABLE}")
    return dict(json.loads(text))


def journals(url: str) -> int:
    ((count,),) = run(url, f"SELECT count(journal) FROM {TABLE}")
    return int(count)


def refused(login: Login, failure: FailureType = FailureType.config_error) -> str:
    """The error of a run that spends nothing."""
    calls = login.server.calls
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert caught.value.failure_type is failure, caught.value
    assert login.server.calls == calls
    assert login.messages == []
    return str(caught.value)


class ProcessDiedError(BaseException):
    """Stands for kill -9."""


def die(*_: object) -> None:
    raise ProcessDiedError


class TestTheSameRulesAsAFile:
    def test_a_frozen_configuration_works_for_ever(self, url: str) -> None:
        login = Login(url)
        for _ in range(5):
            login = login.again(configuration())
            login.auth.get_access_token()
            login.clock.advance(700)
        assert login.server.answers == [200] * 5
        assert record(url)["refresh_token"] == "refresh!5"
        assert journals(url) == 0

    def test_processes_in_a_row_share_one_access_token(self, url: str) -> None:
        login = Login(url)
        assert {login.again(configuration()).auth.get_access_token() for _ in range(3)} == {"access-1"}
        assert login.server.calls == 1

    def test_a_superseded_login_is_an_error_and_never_gets_the_other_ones_tokens(self, url: str) -> None:
        clock = FakeClock()
        alice, bob = (FakeTokenServer(clock, refresh_token=f"{name}!0") for name in ("alice", "bob"))
        first = Login(url, server=alice, config=configuration("alice!0"))
        first.auth.get_access_token()
        second = Login(url, server=bob, config=configuration("bob!0"))
        second.auth.get_access_token()
        second.auth.remember_user("3f0b-bob", "Bob de Bouwer")

        for config in (configuration("alice!0"), first.config):
            message = refused(Login(url, server=alice, config=deepcopy(config)))
            assert "later login" in message
            assert "Bob de Bouwer" in message
            assert "database of its own" in message
        clock.advance(700)
        assert Login(url, server=bob, config=configuration("bob!0")).auth.get_access_token() == "access-2"
        assert {*alice.answers, *bob.answers} == {200}

    def test_two_apps_and_two_sites_in_one_database_do_not_meet(self, url: str) -> None:
        clock = FakeClock()
        for client_id, site in ((CLIENT_ID, "nl"), ("another app", "nl"), (CLIENT_ID, "be")):
            for _ in range(2):
                name = f"{client_id} {site}"
                config = {**configuration(f"{name}!0", client_id=client_id.replace(" ", "-")), "site": site}
                tokens = FakeTokenServer(clock, refresh_token=f"{name}!0".replace(" ", "-"))
                config["credentials"]["refresh_token"] = tokens.live_refresh_token
                tokens.names_access_tokens = True
                token = Login(url, server=tokens, config=config).auth.get_access_token()
                assert token == f"{name}-1".replace(" ", "-")
        assert run(url, f"SELECT count(*) FROM {TABLE}") == [(3,)]

    @pytest.mark.parametrize("point", ["begin_refresh", "on_chunk", "save", "announce"])
    def test_a_process_that_dies_around_the_refresh(self, url: str, point: str) -> None:
        login = Login(url)
        login.auth.get_access_token()
        login.clock.advance(700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*((Credentials, "emit_config_update") if point == "announce" else (TokenStore, point)), die)
            with pytest.raises(ProcessDiedError):
                login.again(configuration()).auth.get_access_token()
        survivor = login.again(configuration())
        if point == "on_chunk":  # Exact has rotated, and its answer died with the process
            with pytest.raises(AirbyteTracedException, match="cut off"):
                survivor.auth.get_access_token()
            return
        assert survivor.auth.get_access_token() == "access-2"
        assert set(login.server.answers) == {200}

    def test_a_lost_answer_stays_the_reason_in_the_next_run(self, url: str) -> None:
        login = Login(url)
        login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=True))
        with pytest.raises(AirbyteTracedException, match="lost"):
            login.auth.get_access_token()
        with pytest.raises(AirbyteTracedException, match="cut off"):
            login.again(configuration()).auth.get_access_token()

    def test_a_damaged_record_is_named_and_left_alone(self, url: str) -> None:
        Login(url).auth.get_access_token()
        run(url, f"UPDATE {TABLE} SET record = left(record, 40)")
        assert "cut off" in refused(Login(url))
        assert run(url, f"SELECT length(record) FROM {TABLE}") == [(40,)]

    def test_a_row_that_was_deleted_during_the_run_is_written_again(self, url: str) -> None:
        login = Login(url)
        login.auth.get_access_token()
        run(url, f"DELETE FROM {TABLE}")
        login.clock.advance(700)
        assert login.auth.get_access_token() == "access-2"
        assert record(url)["refresh_token"] == "refresh!2"


class TestProcesses:
    @pytest.mark.parametrize(
        ("processes", "settings"), [(2, {}), (4, {}), (3, {"default_transaction_isolation": "serializable"})]
    )
    def test_that_race_are_never_refused(self, url: str, processes: int, settings: dict[str, str]) -> None:
        store = url_of(url, **settings)
        with token_server(life=0.5) as (base_url, rules):
            children = [SPAWN.Process(target=use_tokens, args=(base_url, store, 4.0)) for _ in range(processes)]
            for child in children:
                child.start()
            for child in children:
                child.join(60)
            assert [child.exitcode for child in children] == [0] * processes
            assert rules.refusals == []
            assert rules.issued >= 5
            assert record(url)["refresh_token"] == rules.refresh_token

    def test_that_are_killed_lose_no_login_once_the_answer_is_on_record(self, url: str) -> None:
        with token_server(life=0.05) as (base_url, _), SPAWN.Pool(1, initializer=look_again_soon) as pool:
            outcomes = pool.apply(kill_at_random, (base_url, url, 40, 7, (0.05, 0.4)))
        lost = [reached for survived, reached in outcomes if not survived]
        reached = Counter(progress for _, progress in outcomes)
        print(f"{len(outcomes)} kills, by how far the refresh had come: {reached}; lost: {lost}")
        assert reached[DURABLE] + reached[ARRIVED] + reached[ASKING] >= 20
        assert DURABLE not in lost
        assert len(lost) < 20  # the answer was still under way, or in the milliseconds until the database has it

    def test_whose_lock_nobody_gives_back_are_a_transient_error(
        self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        monkeypatch.setattr(token_database, "LOCK_HEARTBEAT_SECONDS", 0.05)
        monkeypatch.setattr(token_database, "LOCK_HEARTBEATS", 3)
        login, holder = Login(url), Login(url)
        with holder.auth._credentials.locked():
            assert "kept locked" in refused(login, FailureType.transient_error)
        assert sum("holds the lock" in line for line in caplog.messages) == 3
        assert login.auth.get_access_token() == "access-1"


def look_again_soon() -> None:
    """In a process of its own: nobody waits long for a refresh whose process was killed."""
    token_store.UNDER_WAY *= 0


class TestADatabaseThatGoesAway:
    def test_before_a_refresh_costs_nothing(self, url: str, gateway: Gateway) -> None:
        login = Login(url_of(url, port=gateway.port))
        gateway.cut()
        message = refused(login, FailureType.transient_error)
        assert "No token was spent" in message
        gateway.mend()
        assert login.auth.get_access_token() == "access-1"

    def test_between_the_lock_and_the_refresh_costs_nothing(
        self, url: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        login = Login(url_of(url, port=gateway.port))
        begin = TokenStore.begin_refresh

        def cut(*arguments: Any) -> None:
            gateway.cut()
            begin(*arguments)

        monkeypatch.setattr(TokenStore, "begin_refresh", cut)
        assert "No token was spent" in refused(login, FailureType.transient_error)

    def test_while_the_answer_is_under_way_the_new_pair_still_goes_to_the_platform(
        self, url: str, gateway: Gateway
    ) -> None:
        login = Login(url_of(url, port=gateway.port))
        login.auth.get_access_token()
        login.clock.advance(700)
        login.messages.clear()
        during_the_call(login, gateway.cut)

        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()

        assert caught.value.failure_type is FailureType.config_error
        assert "could not be written to the token store" in str(caught.value)
        assert [message["credentials"]["refresh_token"] for message in login.messages] == ["refresh!2"]
        assert record(url)["refresh_token"] == "refresh!1"
        gateway.mend()
        assert login.auth.get_access_token() == "access-2", "it is saved as soon as that can be done"
        assert record(url)["refresh_token"] == "refresh!2"
        assert login.server.answers == [200, 200]

    def test_and_is_back_at_once_costs_nothing(self, url: str, gateway: Gateway) -> None:
        login = Login(url_of(url, port=gateway.port))
        during_the_call(login, lambda: (gateway.cut(), gateway.mend()))
        assert login.auth.get_access_token() == "access-1"
        assert record(url)["refresh_token"] == "refresh!1"
        assert login.again(configuration()).auth.get_access_token() == "access-1"

    def test_all_connections_ended_by_the_server_costs_nothing(self, url: str) -> None:
        login = Login(url)
        during_the_call(login, lambda: terminate_all(url))
        assert login.auth.get_access_token() == "access-1"
        assert login.again(configuration()).auth.get_access_token() == "access-1"

    def test_and_takes_the_lock_along_leaves_the_refresh_alone(self, url: str) -> None:
        """Another process gets the lock while the first one's answer is under way: it waits for it."""
        login = Login(url)
        login.auth.get_access_token()
        login.clock.advance(700)
        other = login.again(configuration())

        def meanwhile() -> None:
            terminate_all(url)
            with other.auth._credentials.locked():
                other.auth._credentials.newest()
            assert other.auth._credentials.seconds_for_other_refresh() > 0

        during_the_call(login, meanwhile)
        tokens = [login.auth.get_access_token(), other.auth.get_access_token()]
        assert tokens == ["access-2"] * 2
        assert login.server.answers == [200, 200]

    def test_without_a_word_is_waited_for_some_seconds_only(
        self, url: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(token_database, "ANSWER_SECONDS", 0.2)
        monkeypatch.setitem(token_database._DEFAULTS, "connect_timeout", 2)
        login = Login(url_of(url, port=gateway.port))
        during_the_call(login, gateway.freeze)
        with pytest.raises(AirbyteTracedException, match="could not be written to the token store"):
            login.auth.get_access_token()
        assert [message["credentials"]["refresh_token"] for message in login.messages] == ["refresh!1"]
        gateway.mend()
        assert login.auth.get_access_token() == "access-1"

    def test_and_comes_back_with_another_login_s_record_is_not_overwritten(self, url: str, gateway: Gateway) -> None:
        login = Login(url_of(url, port=gateway.port))
        login.auth.get_access_token()
        login.clock.advance(700)

        def meanwhile() -> None:
            gateway.cut()
            gateway.mend()
            run(url, f"UPDATE {TABLE} SET record = replace(record, 'refresh!1', 'other!1'), journal = NULL")

        during_the_call(login, meanwhile)
        with pytest.raises(AirbyteTracedException, match="another process has replaced its record"):
            login.auth.get_access_token()
        assert record(url)["refresh_token"] == "other!1"
        assert login.messages[-1]["credentials"]["refresh_token"] == "refresh!2"


def during_the_call(login: Login, what: Any) -> None:
    """Let something happen once while the next token call is under way."""
    send = login.server.send

    def sending(*arguments: Any, **options: Any) -> requests.Response:
        login.server.send = send  # type: ignore[method-assign]
        what()
        return send(*arguments, **options)

    login.server.send = sending  # type: ignore[method-assign]


def terminate_all(url: str) -> None:
    run(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


class TestRights:
    def test_roles_with_other_search_paths_share_one_record(self, url: str, roles: Any) -> None:
        """A table without its schema would be another one for each: two records of one login, one of them spent."""
        anna, ben = roles("anna"), roles("ben")
        run(url, "GRANT CREATE ON SCHEMA public TO {}", anna)
        login = Login(url_of(url, anna, "geheim", search_path=anna))
        login.auth.get_access_token()
        run(url, "GRANT SELECT, INSERT, UPDATE ON public.exact_online_tokens TO {}", ben)
        run(url_of(url, ben, "geheim"), f"CREATE TABLE {ben}.exact_online_tokens AS TABLE {TABLE} WITH NO DATA")

        for _ in range(3):
            for role in (ben, anna):
                other = Login(
                    url_of(url, role, "geheim", search_path=role), server=login.server, config=configuration()
                )
                other.auth.get_access_token()
                login.clock.advance(590)

        assert set(login.server.answers) == {200}
        assert run(url, f"SELECT count(*) FROM {TABLE}") == [(1,)]

    @pytest.mark.parametrize(
        ("rights", "missing"),
        [("", "SELECT"), ("SELECT", "SELECT, INSERT"), ("SELECT, INSERT", "UPDATE"), ("SELECT, UPDATE", "INSERT")],
    )
    def test_a_role_that_lacks_some_spends_nothing(self, url: str, roles: Any, rights: str, missing: str) -> None:
        role = roles("carla")
        first = Login(url)
        first.auth.get_access_token()
        first.clock.advance(700)
        if rights:
            run(url, f"GRANT {rights} ON {TABLE} TO {{}}", role)
        message = refused(Login(url_of(url, role, "geheim"), server=first.server, config=configuration()))
        assert "permission denied" in message
        assert missing in message

    def test_a_role_that_may_not_make_the_table_spends_nothing(self, url: str, roles: Any) -> None:
        message = refused(Login(url_of(url, roles("dora"), "geheim")))
        assert "permission denied" in message
        assert "CREATE" in message

    def test_a_role_whose_rows_are_hidden_spends_nothing(self, url: str, roles: Any) -> None:
        role = roles("emil")
        first = Login(url)
        first.auth.get_access_token()
        run(url, f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO {{}}", role)
        run(url, f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
        assert "row-level security" in refused(Login(url_of(url, role, "geheim"), server=first.server))

    def test_a_session_that_may_only_read_spends_nothing(self, url: str) -> None:
        assert "read-only" in refused(Login(url_of(url, default_transaction_read_only="on")))

    def test_settings_of_a_role_do_not_make_it_forgetful(self, url: str, roles: Any) -> None:
        """synchronous_commit = off would lose what was committed last with the server's power."""
        role = roles("fred")
        Login(url).auth.get_access_token()
        run(url, f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO {{}}", role)
        run(url, "CREATE TABLE seen (setting text); GRANT INSERT ON seen TO {}", role)
        run(
            url,
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; "
            f"CREATE TRIGGER note BEFORE INSERT OR UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION note()",
        )
        run(url, "ALTER ROLE {} SET synchronous_commit = off", role)
        run(url, "ALTER ROLE {} SET lock_timeout = '1ms'", role)
        login = Login(url_of(url, role, "geheim"), config=configuration("another!0"))
        login.server.live_refresh_token = "another!0"
        login.auth.get_access_token()
        assert {setting for (setting,) in run(url, "SELECT setting FROM seen")} == {"on"}


class TestColumns:
    def test_a_token_of_any_length_is_kept(self, url: str) -> None:
        long = "refresh" + "x" * 200_000
        login = Login(
            url, server=FakeTokenServer(FakeClock(), refresh_token=f"{long}!0"), config=configuration(f"{long}!0")
        )
        login.auth.get_access_token()
        assert record(url)["refresh_token"] == f"{long}!1"
        assert login.again(configuration(f"{long}!0")).auth.get_access_token() == "access-1"

    @pytest.mark.parametrize(
        ("change", "column"),
        [
            ("ALTER COLUMN record TYPE varchar(255)", "record"),
            ("ALTER COLUMN journal TYPE text USING NULL", "journal"),
            ("DROP COLUMN host", "host"),
        ],
    )
    def test_one_that_would_not_take_every_token_is_named_before_one_is_spent(
        self, url: str, change: str, column: str
    ) -> None:
        run(url, token_database._CREATE)
        run(url, f"ALTER TABLE {TABLE} {change}")
        assert column in refused(Login(url))

    def test_a_table_without_its_key_is_named_before_a_token_is_spent(self, url: str) -> None:
        run(url, token_database._CREATE)
        run(url, f"ALTER TABLE {TABLE} DROP CONSTRAINT exact_online_tokens_pkey")
        assert "no unique" in refused(Login(url))

    def test_many_that_make_the_table_at_once_do_not_meet(self, url: str) -> None:
        def begin(number: int) -> None:
            storage = TokenDatabase(url, Owner(f"app-{number}", "nl", "start.exactonline.nl"))
            with storage.locked():
                storage.read()
                storage.begin_journal(b"begun")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(begin, range(8)))
        assert run(url, f"SELECT count(*) FROM {TABLE}") == [(8,)]


class TestTheConsoleScript:
    def test_two_machines_share_one_login_and_no_output_has_the_password(
        self, url: str, roles: Any, clean: Sandbox
    ) -> None:
        role = roles("gerda")
        run(url, "GRANT CREATE ON SCHEMA public TO {}", role)
        store = url_of(url, role, "geheim")
        config = clean.config(credentials={"token_store": store})
        calls = [Connector(deepcopy(config)).check(debug=True) for _ in range(3)]
        assert [run.connection["status"] for run in calls] == ["SUCCEEDED"] * 3, calls[0].explain()
        assert [call["status"] for call in clean.get("token-calls")["calls"]] == [200]
        for done in calls:
            lines = [line for line in done.stdout.splitlines() if '"type":"CONTROL"' not in line]
            assert "geheim" not in "\n".join([*lines, done.stderr])

    @pytest.mark.parametrize("wrong", ["password", "database", "address"])
    def test_an_address_that_is_wrong_is_one_sentence_without_the_password(
        self, url: str, roles: Any, clean: Sandbox, wrong: str
    ) -> None:
        role = roles("heidi")
        store = url_of(url, role, "gehe%40im")
        if wrong == "database":
            store = url_of(url, role, "geheim") + "_of_nobody"
        if wrong == "address":
            store = url_of(url, role, "gehe%40im", port=1)
        done = Connector(clean.config(credentials={"token_store": store})).read(["accounts"], succeeds=False)
        assert len(done.errors) == 1
        assert "token store" in done.errors[0]
        assert done.failure_types == ["transient_error" if wrong == "address" else "config_error"], done.errors
        assert "Traceback" not in done.stderr
        for secret in ("geheim", "gehe@im", "gehe%40im"):
            assert secret not in done.stdout + done.stderr
