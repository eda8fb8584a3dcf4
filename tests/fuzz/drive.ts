// Runs readers over broken inputs in processes of their own, and ends those that hang or grow.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Part, Report } from './worker.js';

export interface FuzzOptions {
  reader: string;
  inputs: number;
  seed: number;
  /** The number of the first input; default 0. */
  first?: number | undefined;
  /** One input may take so long; default 2,000. */
  limitMs?: number | undefined;
  /** The process may hold so much; default 1 GiB. */
  limitBytes?: number | undefined;
  /** Inputs after which a process is replaced by a new one; default 5,000. */
  perProcess?: number | undefined;
  /** The file beside this one that has the readers; default: `readers.ts`. */
  table?: string | undefined;
}

/** An input that did what none may. */
interface Finding {
  reader: string;
  seed: number;
  index: number;
  kind: 'error' | 'crash' | 'hang' | 'memory';
  what: string;
}

export interface FuzzResult {
  reader: string;
  inputs: number;
  accepted: number;
  refused: number;
  findings: Finding[];
  /** What looked like a hang, and did not do so alone. */
  passing: Finding[];
  slowestMs: number;
  slowest: number;
  /** The most memory that a process held, in bytes. */
  peakBytes: number;
  seconds: number;
}

const program = fileURLToPath(new URL('worker.ts', import.meta.url));

/** Of real time a reader may take so many times its limit. */
const mostWaits = 60;

/** The errors of more findings than this are of no use. */
const mostFindings = 50;

/** Reads `inputs` broken inputs; those after which a process has to be ended are left out by the next one. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { reader, inputs, seed, first = 0, perProcess = 5000 } = options;
  const begin = performance.now();
  const result: FuzzResult = {
    reader,
    inputs,
    accepted: 0,
    refused: 0,
    findings: [],
    passing: [],
    slowestMs: 0,
    slowest: first,
    peakBytes: 0,
    seconds: 0,
  };
  const end = first + inputs;
  let stopped = 0;
  for (let at = first; at < end && result.findings.length < mostFindings; ) {
    const part = { reader, seed, first: at, end: Math.min(end, at + perProcess) };
    const finding = await runPart(part, options, result);
    at = finding === undefined ? part.end : finding.index + 1;
    if (finding === undefined) continue;
    stopped += 1;
    if (finding.kind !== 'hang') {
      result.findings.push(finding);
      continue;
    }
    // A busy machine can look like a hang: what is one is so alone, too.
    const again = await runPart({ ...part, first: finding.index, end: finding.index + 1 }, options, {
      ...result,
      findings: [],
    });
    if (again === undefined) result.passing.push(finding);
    else result.findings.push(again);
  }
  // A process that was ended has not said how many it had read.
  if (stopped > 0) result.accepted = Number.NaN;
  result.seconds = (performance.now() - begin) / 1000;
  return result;
}

/** Runs a process over a part; gives the finding that ended it, if one did. */
async function runPart(
  { reader, seed, first, end }: Omit<Part, 'heartbeat' | 'table' | 'temporary'>,
  { limitMs = 2000, limitBytes = 1 << 30, table = 'readers.ts' }: FuzzOptions,
  result: FuzzResult,
): Promise<Finding | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-drive-'));
  const heartbeat = join(folder, 'heartbeat');
  const part: Part = { reader, seed, first, end, heartbeat, table, temporary: folder };
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=768', '--import', 'tsx', program, JSON.stringify(part)],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HF_HUB_OFFLINE: '' } },
  );
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-3000);
  });
  let isDone = false;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const report = JSON.parse(line) as Report;
    if (report.kind === 'finding')
      result.findings.push({ reader, seed, index: report.index, kind: 'error', what: report.what });
    else {
      isDone = true;
      result.accepted += report.accepted;
      result.refused += report.refused;
      if (report.slowestMs > result.slowestMs)
        Object.assign(result, { slowestMs: report.slowestMs, slowest: report.slowest });
    }
  });
  const watch = { index: -1, since: performance.now(), workedMs: 0, killed: undefined as Finding['kind'] | undefined };
  const timer = setInterval(() => {
    const index = beatOf(heartbeat);
    const bytes = residentBytes(child);
    result.peakBytes = Math.max(result.peakBytes, bytes);
    const workedMs = processorMsOf(child);
    if (index !== watch.index) Object.assign(watch, { index, since: performance.now(), workedMs });
    // A busy machine makes no reader slow; one that waits for ever takes no processor time.
    const isSlow = workedMs - watch.workedMs > limitMs || performance.now() - watch.since > mostWaits * limitMs;
    const isHung = index >= 0 && isSlow;
    if (!isDone && (isHung || bytes > limitBytes)) {
      watch.killed ??= isHung ? 'hang' : 'memory';
      child.kill('SIGKILL');
    }
  }, 50);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (...ended) => resolve(ended));
  });
  clearInterval(timer);
  const index = beatOf(heartbeat);
  rmSync(folder, { recursive: true, force: true });
  if (isDone && code === 0) return undefined;
  if (index < 0) throw new Error(`${reader}: the process did not begin (${code ?? signal}): ${errors}`);
  const what =
    watch.killed === undefined
      ? `exit ${code ?? signal}: ${errors}`
      : `ended by the watchdog (limits ${limitMs} ms, ${limitBytes} bytes)`;
  return { reader, seed, index, kind: watch.killed ?? 'crash', what };
}

/** The input under way, -1 before the first. */
function beatOf(file: string): number {
  try {
    const text = readFileSync(file, 'latin1').trim();
    return text === '' ? -1 : Number(text);
  } catch {
    return -1;
  }
}

/** Milliseconds of processor time that a process has taken, where the system says so; else of real time. */
function processorMsOf({ pid }: ChildProcess): number {
  if (process.platform !== 'linux') return performance.now();
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // In hundredths of a second, in user and in system mode.
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return Number.NaN; // gone
  }
}

/** What a process holds, where the system says so. */
function residentBytes({ pid }: ChildProcess): number {
  try {
    return 4096 * Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
  } catch {
    return 0;
  }
}
