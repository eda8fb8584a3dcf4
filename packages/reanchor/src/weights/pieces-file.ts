/**
 * Tensors of which each process has pieces: each writes its own into a file of its own, and any number of processes
 * reads the parts that it needs, of all files.
 *
 *     optimizer-00003-of-00008.safetensors    the pieces of the third of eight processes, each a flat list of elements
 *                                             under the name of its tensor
 *     its __metadata__                        for each piece {"from", "shape"}: its first element, counted in the
 *                                             tensor, and the shape of the tensor
 *     optimizer.safetensors                   the same tensors whole, as one process writes them
 */
import { closeSync, existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { tensor as fromBytes, type ProcessGroup, type Tensor, tidy } from '@reanchor/torch';
import { FormatError, shown, UserError } from '../errors.js';
import {
  isRecord,
  openSafetensors,
  openSync,
  readStored,
  type SafetensorsDType,
  type SafetensorsFile,
  type StoredTensor,
  sha256,
} from '../formats/index.js';
import { storedName } from '../models/weight-dtypes.js';
import { writeTensors } from './tensor-file.js';
import type { Piece } from './unit.js';

/** What a process says of its file. */
export type PiecesReport = { path: string; sha256: string } | { words: string; code?: string; syscall?: string };

/** The file of a process, of those that hold together what `file` would. */
function piecesFile(file: string, { rank, world }: Pick<ProcessGroup, 'rank' | 'world'>): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return file.replace(/\.safetensors$/, `-${digits(rank + 1)}-of-${digits(world)}.safetensors`);
}

/**
 * Writes the pieces of a process into its file, and returns what it says of it: that it is on the disk, or why it is
 * not. It throws nothing, since all processes have to hear of a failure.
 */
export async function writePieces(
  file: string,
  process: Pick<ProcessGroup, 'rank' | 'world'>,
  pieces: ReadonlyMap<string, Piece>,
): Promise<PiecesReport> {
  const path = piecesFile(file, process);
  const metadata = [...pieces].map(([name, { from, shape }]) => [name, JSON.stringify({ from, shape })]);
  const tensors = [...pieces].map(([name, { tensor }]) => {
    return { name, dtype: tensor.dtype, shape: [tensor.numel], value: () => tensor };
  });
  try {
    await writeTensors(path, tensors, Object.fromEntries(metadata));
    return { path, sha256: await sha256(path) };
  } catch (error) {
    const { code, syscall } = systemError(error);
    return { words: error instanceof Error ? error.message : String(error), ...(code && syscall && { code, syscall }) };
  }
}

/** What of an error, or its causes, the system has said. */
function systemError(error: unknown): Pick<NodeJS.ErrnoException, 'code' | 'syscall'> {
  if (!(error instanceof Error)) return {};
  return 'syscall' in error ? (error as NodeJS.ErrnoException) : systemError(error.cause);
}

/**
 * The SHA-256 sums of the files that processes have written, by path. Errors: UserError with the words of the first
 * one that could not, and the ranks of all such; its cause has the system's code.
 */
export function writtenFiles(reports: readonly PiecesReport[]): Map<string, string> {
  const failed = [...reports.entries()].flatMap(([rank, report]) => ('words' in report ? [{ rank, ...report }] : []));
  const [first, ...others] = failed;
  if (first === undefined)
    return new Map(reports.flatMap((report) => ('path' in report ? [[report.path, report.sha256]] : [])));
  const { rank, words, code, syscall } = first;
  const list = others.map((other) => other.rank).join(', ');
  const more = others.length === 0 ? '' : ` (${others.length === 1 ? 'rank' : 'ranks'} ${list} could not either)`;
  throw new UserError(`rank ${rank}: ${words}${more}`, { cause: Object.assign(new Error(words), { code, syscall }) });
}

/** A part of a tensor in a file. */
interface Part extends StoredTensor {
  file: string;
  /** Its first element, counted in the tensor, and the number of them. */
  from: number;
  numel: number;
}

/** A tensor, and where its elements lie, in their order. */
interface Divided {
  dtype: SafetensorsDType;
  shape: readonly number[];
  parts: Part[];
}

/**
 * Copies the values of a file, or of the pieces that are there in its place, into tensors of the same names, shapes and
 * dtypes, one in memory at a time. Errors: FormatError where the file does not hold just these.
 */
export async function readTensorsInto(file: string, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const stored = await openDivided(file);
  for (const [name, { parts }] of stored)
    if (!tensors.has(name)) throw new FormatError(`tensor ${name} is not expected`, { file: parts[0]!.file });
  const wholes = [...tensors].map(([name, tensor]) => [name, { tensor, from: 0, shape: tensor.shape }] as const);
  copyPieces(file, stored, new Map(wholes));
}

/**
 * As {@link readTensorsInto}, into parts of the tensors, of which nothing else is read; the file may hold more. Errors:
 * FormatError where it lacks one, or has it in another shape or dtype.
 */
export async function readPiecesInto(file: string, pieces: ReadonlyMap<string, Piece>): Promise<void> {
  copyPieces(file, await openDivided(file), pieces);
}

function copyPieces(file: string, stored: ReadonlyMap<string, Divided>, pieces: ReadonlyMap<string, Piece>): void {
  const wanted = new Map<string, { part: Part; piece: Piece }[]>();
  for (const [name, piece] of pieces) {
    const found = stored.get(name);
    if (!found) throw new FormatError(`tensor ${name} is missing`, { file });
    const { dtype, shape, parts } = found;
    if (dtype !== storedName(piece.tensor.dtype) || shape.join() !== piece.shape.join())
      throw new FormatError(
        `tensor ${name} is ${dtype} [${shape}], and should be ${piece.tensor.dtype} [${piece.shape}]`,
        { file: parts[0]!.file },
      );
    for (const part of parts) {
      if (part.from >= piece.from + piece.tensor.numel || piece.from >= part.from + part.numel) continue;
      const ofFile = wanted.get(part.file) ?? [];
      wanted.set(part.file, ofFile);
      ofFile.push({ part, piece });
    }
  }
  for (const [path, all] of wanted) {
    const handle = openSync(path);
    try {
      for (const { part, piece } of all) copyPart(handle, part, piece);
    } finally {
      closeSync(handle);
    }
  }
}

/** Copies the elements that a part of a tensor in a file and a piece of it have in common. */
function copyPart(handle: number, part: Part, { tensor, from }: Piece): void {
  const low = Math.max(part.from, from);
  const high = Math.min(part.from + part.numel, from + tensor.numel);
  const width = (part.end - part.begin) / part.numel;
  const begin = part.begin + (low - part.from) * width;
  const bytes = readStored(handle, { ...part, begin, end: begin + (high - low) * width }, part.file);
  tidy(() => {
    const target = tensor
      .detach()
      .view([-1])
      .narrow(0, low - from, high - low);
    target.copy_(fromBytes(bytes).view(tensor.dtype));
  });
}

/** The tensors of a file, or of the pieces in its place. Errors: FormatError where they do not make whole tensors. */
async function openDivided(file: string): Promise<Map<string, Divided>> {
  const found = new Map<string, Divided>();
  for (const path of await filesOf(file)) {
    const opened = await openSafetensors(path);
    for (const [name, stored] of opened.tensors) {
      const { from, shape } = placeOf(name, stored, opened);
      const part = { ...stored, file: path, from, numel: numelOf(stored.shape) };
      const known = found.get(name);
      if (known === undefined) found.set(name, { dtype: stored.dtype, shape, parts: [part] });
      else if (known.dtype === stored.dtype && known.shape.join() === shape.join()) known.parts.push(part);
      else
        throw new FormatError(`tensor ${name} has another shape or dtype in ${known.parts[0]!.file}`, { file: path });
    }
  }
  for (const [name, { shape, parts }] of found) requireWhole(name, shape, parts);
  return found;
}

/** The pieces that are there in the place of a file, all of them, or the file itself. Errors: FormatError. */
async function filesOf(file: string): Promise<string[]> {
  if (existsSync(file)) return [file];
  const folder = dirname(file);
  const prefix = `${basename(file, '.safetensors')}-`;
  const names = (await readdir(folder).catch(() => [])).filter(
    (name) => name.startsWith(prefix) && /^\d{5,}-of-\d{5,}\.safetensors$/.test(name.slice(prefix.length)),
  );
  if (names.length === 0) return [file];
  const worlds = [...new Set(names.map((name) => Number(/-of-(\d+)/.exec(name)![1])))].sort((a, b) => a - b);
  const [world = 0] = worlds;
  if (worlds.length > 1)
    throw new FormatError(`pieces of ${worlds.join(' and of ')} processes lie there together`, { file });
  const expected = Array.from({ length: world }, (_, rank) => basename(piecesFile(file, { rank, world })));
  const missing = expected.find((name) => !names.includes(name));
  if (missing !== undefined) throw new FormatError('the file is missing', { file: join(folder, missing) });
  return expected.map((name) => join(folder, name));
}

/** Where the elements of a stored tensor belong. Errors: FormatError. */
function placeOf(
  name: string,
  { shape: storedShape }: StoredTensor,
  { file, metadata }: SafetensorsFile,
): { from: number; shape: readonly number[] } {
  const text = metadata[name];
  if (text === undefined) return { from: 0, shape: storedShape };
  let place: unknown;
  try {
    place = JSON.parse(text);
  } catch {
    place = undefined;
  }
  const { from, shape } = isRecord(place) ? place : {};
  if (isCount(from) && Array.isArray(shape) && shape.every(isCount)) return { from, shape };
  throw new FormatError(`its place ${shown(text)} is not of the form {"from": 0, "shape": [2, 3]}`, {
    file,
    where: `header, __metadata__, tensor ${shown(name)}`,
  });
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const numelOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Puts the parts of a tensor in order. Errors: FormatError where they leave a gap, or overlap. */
function requireWhole(name: string, shape: readonly number[], parts: Part[]): void {
  parts.sort((a, b) => a.from - b.from);
  let next = 0;
  for (const { from, numel, file } of parts) {
    if (from !== next)
      throw new FormatError(`tensor ${name} begins at element ${from} here, and the part before it ends at ${next}`, {
        file,
      });
    next += numel;
  }
  const numel = numelOf(shape);
  if (next !== numel)
    throw new FormatError(`tensor ${name} ends at element ${next}, and has ${numel} by its shape`, {
      file: parts.at(-1)!.file,
    });
}
