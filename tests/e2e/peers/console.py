"""The console as a browser has it: HTTPS, cookie, token, WebSocket. The standard library alone, none of our code.

    console.py roles HOST:PORT PEOPLE      every path x every role, against the daemons themselves
    console.py live HOST:PORT PEOPLE       how soon a change of an agent's state is pushed
    console.py session HOST:PORT PEOPLE NAME   a cookie and its token, for other programs
    console.py sound HOST:PORT PEOPLE RECORDING SIZE   playback with a seek to nine tenths

PEOPLE is JSON: name -> {"password": ..., "secret": base 32 of the authenticator app or null, "role": ...}
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import struct
import sys
import time

TLS = ssl.create_default_context()
# The certificate of a first start is self-signed; that it is the house's own is another test's to prove.
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
PASSWORD = "Harbour-lights-9"
USED = {}


def totp(secret, used):
    """RFC 6238: the first code after the step that was used, waited for where it is too far ahead."""
    step = max(int(time.time()) // 30, used + 1)
    while step > int(time.time()) // 30 + 1:
        time.sleep(1)
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return step, "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000)


class Browser:
    def __init__(self, address, name, person):
        self.address, self.name, self.csrf, self.cookie = address, name, None, None
        entering = {"person": name, "password": person["password"]}
        if person["secret"]:
            status, told = self.ask("POST", "/session", entering)
            assert (status, told) == (200, {"outcome": "code-wanted"}), (name, status, told)
            USED[name], entering["code"] = totp(person["secret"], USED.get(name, int(time.time()) // 30))
        status, told = self.ask("POST", "/session", entering)
        assert status == 200 and told["outcome"] == "entered", (name, status, told)
        self.csrf, self.roles = told["csrf"], told["roles"]

    def request(self, method, path, body=None, headers={}):
        connection = http.client.HTTPSConnection(self.address, context=TLS, timeout=30)
        sent = {"Host": self.address, "Accept-Language": "en", **headers}
        if method != "GET":
            sent["Origin"] = f"https://{self.address}"
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.csrf:
            sent["X-CSRF-Token"] = self.csrf
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, sent)
        response = connection.getresponse()
        content = response.read()
        cookie = response.getheader("Set-Cookie")
        if cookie and path == "/session" and method == "POST":
            assert cookie.startswith("__Host-session=") and "Max-Age" not in cookie, cookie
            self.cookie = cookie.split(";")[0]
        connection.close()
        return response, content

    def ask(self, method, path, body=None):
        response, content = self.request(method, path, body)
        kind = response.getheader("Content-Type") or ""
        if response.status >= 400:
            assert kind == "application/problem+json", (path, response.status, kind, content[:200])
        return response.status, json.loads(content) if "json" in kind else None


class Socket:
    """RFC 6455, as much of it as a browser needs here."""

    def __init__(self, browser):
        host, port = browser.address.rsplit(":", 1)
        self.stream = TLS.wrap_socket(socket.create_connection((host, int(port)), timeout=20))
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall((f"GET /api/v1/live HTTP/1.1\r\nHost: {browser.address}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Origin: https://{browser.address}\r\nCookie: {browser.cookie}\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.exactly(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def exactly(self, size):
        found = b""
        while len(found) < size:
            more = self.stream.recv(size - len(found))
            assert more, "the socket ended"
            found += more
        return found

    def message(self):
        kind, size = self.exactly(2)
        if size == 126:
            size, = struct.unpack(">H", self.exactly(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.exactly(8))
        content = self.exactly(size)
        if kind & 15 == 1:
            return json.loads(content)
        if kind & 15 == 8:
            raise AssertionError(("closed", struct.unpack(">H", content[:2])))
        return {}


def filled(path, sequence="0"):
    # Ids that nobody has: what a door does there is refused by the daemon, never by the door.
    for name, value in (("call", "0" * 31 + "1"), ("recording", "0" * 31 + "2"), ("recovery", "0" * 31 + "3"),
                        ("session", "0" * 31 + "4"), ("sequence", sequence), ("person", "nobody.here"),
                        ("agent", "nobody.here"), ("flow", "nothing"), ("role", "agent")):
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, path
    return path


BODIES = {
    "createAccount": None, "grantRole": {"role": "agent"}, "hangUp": {"reason": "roles"},
    "setAgentState": {"state": "ready"}, "setState": {"state": "ready"}, "setAgentWrapUp": {"seconds": 1},
    "setWrapUp": {"seconds": 1}, "signIn": {"phone": "9999"}, "tryFlow": {}, "searchCalls": {"reason": "roles"},
    "unmaskCall": {"reason": "roles"}, "listen": {"reason": "roles"}, "verifyRecording": {"reason": "roles"},
    "hold": {"reason": "roles"}, "release": {"reason": "roles"}, "checkSettings": {"text": ""},
    "applySettings": {"draft": {"text": "[auth]\nidle = \"15x\""}, "reason": "roles"},
    "rollBackSettings": {"to": 99, "reason": "roles"},
}


def roles(address, people):
    browsers = {name: Browser(address, name, person) for name, person in people.items()}
    stranger = Browser.__new__(Browser)
    stranger.address, stranger.csrf, stranger.cookie, stranger.name = address, None, None, "stranger"
    _, document = stranger.ask("GET", "/openapi.json")
    asked = counted = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            if name in ("logIn", "logOut", "nameOfficers", "changePassword", "live", "audio", "peaks"):
                continue
            where = filled(path.removeprefix("/api/v1"))
            body = BODIES.get(name) if method == "post" else None
            if method == "post" and name == "createAccount":
                body = {"person": "nobody.at-all"}
            open_to_all = "security" not in operation
            status, told = stranger.ask(method.upper(), where, body)
            assert (status < 400) if open_to_all else status == 401, (name, status, told)
            for person, browser in browsers.items():
                status, told = browser.ask(method.upper(), where, body)
                may = open_to_all or browser.roles[0] in operation["x-roles"]
                asked += 1
                assert status not in (401, 429) and status < 500, (name, person, status, told)
                if may:
                    assert (told or {}).get("code") != "console.not-permitted", (name, person, told)
                    counted += 1
                else:
                    assert status == 403, (name, person, status, told)
                if status == 403 and may:
                    # The table promises what a daemon then refuses: only where it hangs on whose it is.
                    assert name in ("requestRecovery", "approveRecovery", "hangUp"), (name, person, told)
    print(f"{asked} asked, {counted} permitted")
    assert asked > 200 and counted > 80


def live(address, people):
    leader = next(name for name, person in people.items() if person["role"] == "supervisor")
    agent = next(name for name, person in people.items() if person["role"] == "agent")
    watching, acting = Socket(Browser(address, leader, people[leader])), Browser(address, agent, people[agent])
    while True:
        told = watching.message()
        if told.get("kind") == "state" and told.get("agents"):
            break
    worst = 0
    for number in range(10):
        state = {"aux": "lunch"} if number % 2 else {"aux": "break"}
        began = time.monotonic()
        status, told = acting.ask("POST", "/agent/state", {"state": state})
        assert status == 200, told
        while True:
            told = watching.message()
            if any(one["agent"] == agent and one["state"] == state for one in told.get("agents", [])):
                break
        worst = max(worst, time.monotonic() - began)
    print(f"pushed within {worst * 1000:.0f} ms of the click at the worst")
    assert worst <= 1, worst


def sound(address, people, recording, size):
    leader = next(name for name, person in people.items() if person["role"] == "supervisor")
    browser, path = Browser(address, leader, people[leader]), f"/recordings/{recording}/audio"
    status, told = browser.ask("GET", path)
    assert (status, told["code"]) == (403, "console.no-grant"), told
    status, granted = browser.ask("POST", f"/recordings/{recording}/listen", {"reason": "complaint 17", "case": "C-17"})
    assert status == 200 and granted["size"] == int(size), (granted, size)
    response, whole = browser.request("GET", path)
    assert response.status == 200 and whole[:4] == b"RIFF" and len(whole) == int(size)
    start = len(whole) * 9 // 10
    began = time.monotonic()
    response, part = browser.request("GET", path, headers={"Range": f"bytes={start}-"})
    assert response.status == 206 and part == whole[start:], response.status
    assert response.getheader("Content-Range") == f"bytes {start}-{len(whole) - 1}/{len(whole)}"
    print(f"nine tenths within {(time.monotonic() - began) * 1000:.0f} ms")
    status, peaks = browser.ask("GET", f"/recordings/{recording}/peaks?columns=100")
    assert status == 200 and max(peaks["left"]) > 3 and max(peaks["right"]) > 3, peaks
    print(f"entry {granted['sequence']}")


def session(address, people, name):
    browser = Browser(address, name, people[name])
    print(json.dumps({"cookie": browser.cookie, "csrf": browser.csrf}))


if __name__ == "__main__":
    what, address, people, *more = sys.argv[1:]
    {"roles": roles, "live": live, "sound": sound, "session": session}[what](address, json.loads(people), *more)
