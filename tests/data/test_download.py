import gzip
import hashlib
import http.server
import threading

import pytest

from tightbound import data
from tightbound.core.errors import UsageError


class Server(http.server.ThreadingHTTPServer):
    """Serves bodies by path; a path may be cut short after so many bytes, or lead elsewhere."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies, self.cut, self.redirect, self.asked = {}, {}, {}, []

    def url(self, name):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        assert isinstance(server, Server)
        name = self.path.lstrip("/")
        server.asked.append(name)
        if name in server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect[name])
            self.end_headers()
            return
        if name not in server.bodies:
            self.send_error(404)
            return
        body = server.bodies[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut.get(name)])

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def served(server, tiny_mnist, publish):
    """MNIST as published by the loopback server; gives its bodies by name."""
    _, _, packed = tiny_mnist
    server.bodies = dict(packed)
    publish(
        "mnist",
        *(
            {"url": server.url(name), "digests": (hashlib.sha256(body).hexdigest(),)}
            for name, body in packed.items()
        ),
    )
    return packed


def below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_downloads_once_and_keeps_the_files(tmp_path, server, served, capfd):
    first = data.load("mnist")
    folder = tmp_path / "cache" / "tightbound" / "mnist"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == served
    assert first.checksum != "unverified"
    again = data.load("mnist", download=False)
    assert again.checksum == first.checksum
    assert len(server.asked) == 4
    out, err = capfd.readouterr()
    assert out == ""
    assert "train-images-idx3-ubyte.gz" in err


def test_downloads_into_the_variables_folder(tmp_path, served, monkeypatch):
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path / "data"))
    data.load("mnist")
    assert below(tmp_path / "data" / "mnist") == sorted(served)
    assert not (tmp_path / "cache").exists()


def test_only_what_is_missing_is_fetched(tmp_path, server, served, write_all):
    name = "train-images-idx3-ubyte.gz"
    write_all(tmp_path / "cache" / "tightbound" / "mnist", {name: served[name]})
    data.load("mnist")
    assert name not in server.asked
    assert len(server.asked) == 3


def test_corrupt_body_leaves_nothing(tmp_path, server, served):
    name = "train-images-idx3-ubyte.gz"
    good = served[name]
    bad = good[:50] + bytes([good[50] ^ 1]) + good[51:]
    server.bodies[name] = bad
    with pytest.raises(UsageError) as error:
        data.load("mnist")
    message = str(error.value)
    assert hashlib.sha256(good).hexdigest() in message
    assert hashlib.sha256(bad).hexdigest() in message
    assert server.url(name) in message
    assert "\n" not in message
    assert below(tmp_path) == []


def test_truncated_body_leaves_nothing(tmp_path, server, served):
    name = "train-images-idx3-ubyte.gz"
    server.cut[name] = 100
    with pytest.raises(UsageError) as error:
        data.load("mnist")
    message = str(error.value)
    assert f"100 of {len(served[name]):,} bytes" in message
    assert hashlib.sha256(served[name]).hexdigest() in message
    assert hashlib.sha256(served[name][:100]).hexdigest() in message
    assert below(tmp_path) == []


def test_truncated_body_leaves_nothing_even_unverified(tmp_path, server, served, idx):
    name = "train-labels-idx1-ubyte.gz"
    server.bodies[name] = gzip.decompress(served[name])
    server.cut[name] = 15
    with pytest.raises(UsageError, match="only 15 of 20 bytes came"):
        data.load("mnist", verify=False)
    assert below(tmp_path) == ["train-images-idx3-ubyte.gz"]


def test_damaged_file_of_the_user_is_refused_and_kept(tmp_path, server, served, write_all):
    name = "train-images-idx3-ubyte.gz"
    folder = write_all(tmp_path / "cache" / "tightbound" / "mnist", {name: b"mine"})
    with pytest.raises(UsageError, match=hashlib.sha256(b"mine").hexdigest()):
        data.load("mnist")
    assert (folder / name).read_bytes() == b"mine"
    assert server.asked == []


def test_missing_on_the_server(tmp_path, server, served):
    del server.bodies["train-images-idx3-ubyte.gz"]
    with pytest.raises(UsageError, match="the server answers 404") as error:
        data.load("mnist")
    assert str(tmp_path / "cache" / "tightbound" / "mnist") in str(error.value)
    assert server.url("train-images-idx3-ubyte.gz") in str(error.value)
    assert below(tmp_path) == []


def test_no_network_is_one_line(tmp_path, publish, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    publish("omniglot", {"url": "http://127.0.0.1:9/chardata.mat"})
    with pytest.raises(UsageError, match="needs the file chardata.mat.* failed: ") as error:
        data.load("omniglot")
    assert "http://127.0.0.1:9/chardata.mat" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/chardata.mat"])
def test_only_http_is_spoken(publish, url):
    publish("omniglot", {"url": url})
    with pytest.raises(UsageError, match="expected an http or https address"):
        data.load("omniglot", verify=False)


def test_redirection_to_another_scheme_is_refused(tmp_path, server, publish):
    server.redirect["chardata.mat"] = (tmp_path / "secret").as_uri()
    (tmp_path / "secret").write_bytes(b"secret")
    publish("omniglot", {"url": server.url("chardata.mat")})
    with pytest.raises(UsageError, match="downloading http://127.0.0.1:.* failed: "):
        data.load("omniglot", verify=False)


def test_values_are_checked_before_faces_are_kept(tmp_path, server, publish):
    server.bodies["frey_rawface.mat"] = b"no MATLAB file"
    publish("frey_faces", {"url": server.url("frey_rawface.mat")})
    with pytest.raises(UsageError, match="expected a MATLAB 5 file"):
        data.load("frey_faces")
    assert below(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path, served, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TIGHTBOUND_DATA", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot write .*set TIGHTBOUND_DATA"):
        data.load("mnist")
