"""PostgreSQL 15 of Debian on a socket in a folder, with its defaults: each commit waits for its fsync. One server for all who use it."""
import pathlib
import shutil
import subprocess

from peer import free_port, run

COMMANDS = pathlib.Path("/usr/lib/postgresql/15/bin")


class Postgres:
    def __init__(self, folder):
        self.data, self.socket, self.users = folder / "pg", folder / "socket", 0
        self.port = None

    def start(self):
        """Starts it for the first who asks."""
        self.users += 1
        if self.users > 1:
            return
        if not COMMANDS.exists():
            run("apt-get", "install", "-y", "postgresql-15")
        self.port = str(free_port())
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(self.data, ignore_errors=True)
            for folder in (self.data, self.socket):
                folder.mkdir(parents=True, exist_ok=True)
                shutil.chown(folder, "postgres")
            self.as_postgres(COMMANDS / "initdb", "-D", self.data, "-A", "trust")
        options = f"-p {self.port} -k {self.socket} -c listen_addresses="
        log = self.data / "log"
        self.as_postgres(COMMANDS / "pg_ctl", "-D", self.data, "-l", log, "-w", "-o", options, "start")

    def stop(self):
        self.users -= 1
        if self.users == 0:
            self.as_postgres(COMMANDS / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def create(self, database):
        """Makes a database; an old one of that name goes."""
        place = ["-h", self.socket, "-p", self.port]
        self.as_postgres(COMMANDS / "dropdb", "--if-exists", *place, database)
        self.as_postgres(COMMANDS / "createdb", *place, database)

    def as_postgres(self, *arguments):
        """It does not run as root."""
        command = ["runuser", "-u", "postgres", "--", *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/tmp")
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
