"""What a peer is to the benchmark, and what all of them need: processes, HTTP, free ports."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Peer:
    """One system. `folder` keeps what its set-up made, so that a second run need not make it again."""

    name = ""
    # What differs from Holdfast, for the table's foot.
    differs = ""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.processes = []
        self.headers = {}
        self.url = ""

    def set_up(self):
        """Installs it and gives it the rows; once."""
        raise NotImplementedError

    def start(self):
        """Starts it and fills in `url` and `headers`."""
        raise NotImplementedError

    # Case -> (method, target, body or None, further headers). A case that a peer cannot do is left out.
    def cases(self):
        raise NotImplementedError

    def item(self, answer):
        """The order of an answer to `item`, in any of the forms that `rows.order` takes."""
        return answer

    def page(self, answer):
        """The orders of an answer to `list`, as `rows.listed` takes them."""
        return answer

    def created(self, answer):
        """The id of an answer to `create`."""
        return answer["id"]

    def stop(self):
        """Ends what `start` has started."""
        self.end_processes()

    def end_processes(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    def spawn(self, arguments, **options):
        """Starts a process that `stop` ends; its output goes to a log in the folder."""
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen([str(part) for part in arguments], stdout=log, stderr=log, **options)
        self.processes.append(process)
        return process

    def ask(self, method, target, body=None, headers=()):
        """(status, JSON or None)."""
        sent = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        all_headers = {"content-type": "application/json", **self.headers, **dict(headers)}
        request = urllib.request.Request(self.url + target, data=sent, method=method, headers=all_headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def must(self, method, target, body=None, headers=()):
        status, answer = self.ask(method, target, body, headers)
        if status >= 300:
            raise RuntimeError(f"{self.name}: {method} {target}: {status} {answer}")
        return answer

    def wait(self, target="/", seconds=120):
        """Waits until it answers anything."""
        until = time.monotonic() + seconds
        while True:
            try:
                return self.ask("GET", target)
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if time.monotonic() > until:
                    raise RuntimeError(f"{self.name} does not answer, see {self.folder / 'log'}") from error
                time.sleep(0.1)

    def usage(self):
        """(CPU seconds, MB of memory) of its processes and theirs."""
        ticks, memory = 0, 0
        for pid in {pid for process in self.measured() for pid in tree(process)}:
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(int(field) for field in fields[11:13])
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                memory += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return ticks / os.sysconf("SC_CLK_TCK"), memory // 1024

    def measured(self):
        return [process.pid for process in self.processes]


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*arguments, **options):
    """Runs a command to its end; shows what it said if it fails."""
    done = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def installed(folder, *packages):
    """A virtual environment with these packages of PyPI; its folder of commands."""
    commands = folder / "venv" / "bin"
    wanted = "\n".join(packages)
    marker = folder / "venv" / "installed"
    if not marker.exists() or marker.read_text() != wanted:
        run("python3", "-m", "venv", folder / "venv")
        run(commands / "pip", "install", "-q", *packages)
        marker.write_text(wanted)
    return commands
