"""Inputs that once went wrong, by the decoder that they went wrong in; each is fed to it again, always."""

_DEEP = b"[" * 100_000

REGRESSIONS: dict[str, tuple[bytes, ...]] = {
    # characters that are not UTF-8, and nesting without end, where only a decoder's own errors were thought of
    **dict.fromkeys(
        (
            *("receipt", "manifest of a vault", "marker of a workspace", "what a mount can", "note of a failed sync"),
            "what was left out of a plan",
        ),
        (b'{"format": 1, "run": "\xc0\x80"}', b'{"\xff": 1}', b'{"x":' + _DEEP),
    ),
    "lines of a receipt": (
        b'{"effect":{"id":"e1","effect":"moved","path":"\xc0\x80","kind":"file"}}\n',
        b'{"effect":{"id":"e1","effect":"moved","path":"a","kind":"file"},"facts":"AAAAA"}\n',
        b'{"effect":{"id":"e1","effect":"moved","path":"a","kind":"file"},"facts":"AAAA"}\n',
        b'{"effect":{"id":"e1","effect":"moved","path":"a","kind":"file"},"x":' + _DEEP,
    ),
    "button of Slack": (b'{"plan": "pl_1", "digest": "\xff"}', b'{"plan": "pl_1", "x":' + _DEEP),
    # a length of four gigabytes in a file of a hundred bytes
    "step table": (b"TGf1\xff\xff\xff\xff" + bytes(100),),
    # numbers with more digits than Python reads and larger than a float, blank lines without end, many lines
    "configuration": (
        b"lock_wait = " + b"9" * 5000,
        b"lock_wait = 0x" + b"f" * 5000,
        b"policy.limits.delete_share = 1" + b"0" * 400,
        b"\n" * 1_000_000,
        b'lock_wait = """' + b"\n" * 60_000 + b'"""',
        b"a." * 30_000 + b"b = 1",
    ),
    # a pattern of a megabyte
    "plan, checked and repaired": (
        b'{"version": 1, "operations": [{"op": "move", "match": "*' + b"A" * 1_000_000 + b'", "to": "b/"}]}',
    ),
    # a header that asks for more room than there is
    "stored document": (b"(\xb5/\xfd\xe4" + b"\xff" * 7 + b"\x00" + bytes(40),),
    # a table of names is read without room for the largest plan there may be
    "table of names": (b"from,to\r\na,b\r\n",),
    # places outside the case, the case itself, and a file where a folder should be
    "marks of an overlay": (b"../secret", b"/..", b"", b"/", b"file", b"old/../../secret", b"a\0b"),
}
