"""Hand-written axum over PostgreSQL (axum/src/main.rs): what a team would write for this one case and nothing else."""
import csv
import subprocess

import rows
from peer import HERE, Peer, free_port, run
from postgres import COMMANDS

CREATE = '{"customer_id":5,"status":"new","total":10,"region":"eu","created_at":"2025-11-21T00:00:00Z"}'
TABLES = """
create table customers (id serial primary key, name varchar(100) not null, email varchar(100) not null, region varchar(8) not null,
    active boolean not null default true);
create table orders (id serial primary key, customer_id integer references customers on delete set null, status varchar(10) not null,
    region varchar(8) not null, total double precision not null check (total >= 0), margin double precision not null default 1.5,
    created_at varchar(30) not null);
"""
INDEXES = """
create index on orders (region, status, created_at);
create index on orders (customer_id);
select setval('orders_id_seq', 30000);
analyze;
"""


class Axum(Peer):
    name = "axum + PostgreSQL 15"
    differs = "one token, compared as text; no limiter, audit trail, idempotency or documents"

    def __init__(self, folder, postgres):
        super().__init__(folder)
        self.postgres = postgres

    def set_up(self):
        run("cargo", "build", "--release", "--manifest-path", HERE / "axum" / "Cargo.toml", "--target-dir", self.folder / "target")
        filled = self.folder / "filled"
        if filled.exists():
            return
        with self.postgres:
            self.postgres.create("axum")
            self.psql(TABLES)
            for name, all_rows in zip(("customers", "orders"), rows.generated()):
                columns = list(all_rows[0])
                table = self.folder / f"{name}.csv"
                with open(table, "w", newline="") as file:
                    csv.DictWriter(file, columns).writerows(all_rows)
                self.psql(f"\\copy {name} ({','.join(columns)}) from '{table}' csv")
            self.psql(INDEXES)
        filled.touch()

    def psql(self, statements):
        command = [COMMANDS / "psql", "-h", self.postgres.socket, "-p", self.postgres.port, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "axum"]
        done = subprocess.run([str(part) for part in command], input=statements, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def start(self):
        self.postgres.start()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"authorization": "Bearer token-of-the-clerk"}
        self.spawn([self.folder / "target" / "release" / "axum-peer", f"127.0.0.1:{port}", self.postgres.socket, self.postgres.port])
        self.wait("/orders/4")

    def measured(self):
        return [*super().measured(), self.postgres.pid()]

    def stop(self):
        super().stop()
        self.postgres.stop()

    def cases(self):
        return {
            "item": ("GET", "/orders/{id}", None, {}),
            "list": ("GET", "/orders?status=paid&limit=20", None, {}),
            "cached list": ("GET", "/cached?status=paid&limit=20", None, {}),
            "create": ("POST", "/orders", CREATE, {}),
        }
