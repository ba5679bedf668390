"""What leases add to resolv.conf, behind what a person or a document has there."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from sriovbond import ownfiles, resolvconf
from sriovbond.dhcp import files
from sriovbond.errors import MachineError, TryLaterError
from sriovbond.host import Host

_SHARE: Final = "resolv.conf"
_LOCK: Final = "resolv.conf"  # no name of a client's file
_LOCK_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ResolverShare:
    """The servers and search domains in resolv.conf that are from leases."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


def share(host: Host) -> ResolverShare:
    """Return what of resolv.conf is from leases; nothing where that cannot be read."""
    with suppress(MachineError):
        return files.read_typed(files.folder(host) / _SHARE, ResolverShare) or ResolverShare()
    return ResolverShare()


def refresh(host: Host) -> str:
    """Have resolv.conf with what all leases give; return why it was left as it is, else nothing.

    A file that another program writes is that program's. Raises MachineError, TryLaterError.
    """
    if not files.folder(host).exists():
        return ""
    with _locked(host):
        content = resolvconf.read(host.root)
        owner = resolvconf.owner(host.root, content or b"")
        former, wish = share(host), _wish(host)
        if owner:
            has_any = wish != ResolverShare()
            return f"{owner} writes resolv.conf: servers of DHCP are not in it" if has_any else ""
        lines = without((content or b"").decode("utf-8", "replace"), former)
        added = _new(lines, wish)
        _write(host, content or b"", with_share(lines, added).encode(), former, added)
    return ""


def _write(
    host: Host, before: bytes, content: bytes, former: ResolverShare, added: ResolverShare
) -> None:
    """Write the file and what of it is from leases, which is of both until the file is written."""
    both = ResolverShare(
        _once([*former.servers, *added.servers]), _once([*former.search, *added.search])
    )
    if content != before:
        _write_share(host, both)
        resolvconf.write(host.root, content)
    if added != (both if content != before else former):
        _write_share(host, added)


def _write_share(host: Host, added: ResolverShare) -> None:
    files.write_typed(files.folder(host), _SHARE, added)


def withdraw(host: Host) -> None:
    """Take what leases have added out of resolv.conf, for one who changes the rest of it.

    `refresh` adds it again. Raises MachineError, TryLaterError.
    """
    former = share(host)
    if former == ResolverShare():
        return
    with _locked(host):
        content = plain(host)
        if content is not None:
            resolvconf.write(host.root, content)
        _write_share(host, ResolverShare())


def forget(host: Host) -> None:
    """Leave resolv.conf as it is from now on: what leases added stays there. Idempotent."""
    ownfiles.remove(files.folder(host) / _SHARE)


def plain(host: Host) -> bytes | None:
    """Return resolv.conf without what leases have added; None where it is missing.

    Raises MachineError.
    """
    content, added = resolvconf.read(host.root), share(host)
    if content is None or added == ResolverShare():
        return content
    return with_share(without(content.decode("utf-8", "replace"), added), ResolverShare()).encode()


def without(content: str, added: ResolverShare) -> list[str]:
    """Return the lines of a file without what was added; each server that was is one line."""
    kept = []
    for line in content.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and words[1:2] and words[1] in added.servers:
            continue
        if words[:1] == ["search"] and added.search:
            rest = [word for word in words[1:] if word not in added.search]
            kept += [" ".join(["search", *rest])] if rest else []
            continue
        kept.append(line)
    return kept


def with_share(lines: Sequence[str], added: ResolverShare) -> str:
    """Return the file's text with what is added: servers behind the others, domains likewise."""
    last = max((n for n, line in enumerate(lines) if _is_search(line)), default=None)
    kept = list(lines)
    if added.search:
        words = lines[last].split()[1:] if last is not None else []
        line = " ".join(["search", *words, *added.search])
        kept[len(kept) if last is None else last : (last or len(kept)) + 1] = [line]
    kept += [f"nameserver {server}" for server in added.servers]
    return "".join(f"{line}\n" for line in kept)


def _is_search(line: str) -> bool:
    return line.split()[:1] in (["search"], ["domain"])


def _wish(host: Host) -> ResolverShare:
    now_s, wall_s, boot = time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), host.boot_id()
    clients = [row for row in files.read_all(host) if row.wish.auto_dns is not False]
    given = [row.lease.of_boot(boot, now_s, wall_s) for row in clients if row.lease]
    leases = [lease for lease in given if lease.left_s(now_s) > 0]
    return ResolverShare(
        _once(server for lease in leases for server in lease.servers),
        _once(domain for lease in leases for domain in lease.search),
    )


def _new(lines: Iterable[str], wish: ResolverShare) -> ResolverShare:
    """Return what of a share the lines do not have."""
    rows = [line.split() for line in lines]
    servers = {row[1] for row in rows if row[:1] == ["nameserver"] and len(row) > 1}
    search = {word for row in rows if row[:1] in (["search"], ["domain"]) for word in row[1:]}
    return ResolverShare(
        tuple(one for one in wish.servers if one not in servers),
        tuple(one for one in wish.search if one not in search),
    )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


@contextmanager
def _locked(host: Host) -> Iterator[None]:
    """Hold the lock: several clients and a change write the file."""
    ownfiles.make_folder(files.run_folder(host), os.geteuid())
    busy = TryLaterError("cannot write resolv.conf: another client of ours is at it")
    with ownfiles.locked(files.run_folder(host) / _LOCK, _LOCK_S, busy):
        yield
