/**
 * Who writes a segment of the spool, told by its name: Node has no file locks.
 *
 * An owner is a program on this machine, told from others that had its process id by when it was
 * started. Of owners in other containers nothing can be known but when they last wrote: they touch
 * what they hold while they live.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export const TOUCH_MILLISECONDS = 20_000;
// Several touches may come late on a machine that is busy.
export const STALE_MILLISECONDS = 120_000;

/** This copy of the SDK: the machine or container, its process, when that began, and which copy. */
export function newOwner(): string {
  const copy = randomBytes(4).toString("hex");
  return `${machine()}-${process.pid}-${startedAt(process.pid) ?? 0}-${copy}`;
}

/** Whether the owner's program may still write to a file that was last written at `writtenAt`. */
export function mayLive(owner: string, writtenAt: number, now: number): boolean {
  const [where, pid, started] = owner.split("-");
  if (where !== machine()) return now - writtenAt < STALE_MILLISECONDS;
  return isRunning(Number(pid)) && String(startedAt(Number(pid)) ?? 0) === started;
}

function machine(): string {
  let processes = "";
  try {
    // Containers count their processes by themselves.
    processes = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Not Linux: the name tells machines apart.
  }
  return createHash("sha256").update(`${hostname()}\n${processes}`).digest("hex").slice(0, 12);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** In ticks since the machine started, null where the system does not tell. */
function startedAt(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name of the program, in parentheses, may hold anything; the time is field 22.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return null;
  }
}
