import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noGrad, type Tensor, tensor, tidy, zeros } from '@reanchor/torch';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FormatError, UserError } from '../errors.js';
import { openSafetensors, writeSafetensors } from '../formats/index.js';
import { readPiecesInto, readTensorsInto, writePieces, writtenFiles } from './pieces-file.js';
import { writeTensors } from './tensor-file.js';
import type { Piece } from './unit.js';
import { UnitPlan } from './unit-plan.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pieces-'));
  file = join(folder, 'optimizer.safetensors');
});
afterEach(() => rmSync(folder, { recursive: true }));

const shapes: Record<string, number[]> = { a: [3, 5], b: [7], c: [2, 2, 2], step: [] };
const plan = new UnitPlan();
for (const [name, shape] of Object.entries(shapes)) plan.add(name, shape);

/** The numbers 0, 1, 2 ... over all tensors. */
const numbersOf = (name: string): number[] => {
  const { at, numel } = plan.parameters.get(name)!;
  return Array.from({ length: numel }, (_, i) => at + i);
};

/** What a process has, with the numbers that belong there, or zeros. */
function piecesOf(world: number, rank: number, isEmpty = false): Map<string, Piece> {
  const pieces = [...plan.pieces(world, rank)].map(([name, { from, numel }]): [string, Piece] => {
    const values = numbersOf(name).slice(from, from + numel);
    const made = isEmpty ? zeros([numel], { dtype: 'float64' }) : tensor(Float64Array.from(values));
    // As the optimizer has those of matrices.
    return [name, { tensor: tidy(() => made.view(name === 'a' ? [1, numel] : [numel])), from, shape: shapes[name]! }];
  });
  return new Map(pieces);
}

const write = async (world: number) => {
  const reports = [];
  for (let rank = 0; rank < world; rank++)
    reports.push(await writePieces(file, { rank, world }, piecesOf(world, rank)));
  return writtenFiles(reports);
};

const wholes = () => new Map(Object.entries(shapes).map(([name, shape]) => [name, zeros(shape, { dtype: 'float64' })]));

const flat = (one: Tensor) => noGrad(() => tidy(() => one.view([-1]).toList()));

test.each([1, 2, 3, 5, 40])('what %i processes have written is read by any number of them', async (before) => {
  await write(before);
  for (const after of [1, 2, 3, 4, 7]) {
    for (let rank = 0; rank < after; rank++) {
      const read = piecesOf(after, rank, true);
      await readPiecesInto(file, read);
      for (const [name, { tensor: values }] of piecesOf(after, rank))
        expect(flat(read.get(name)!.tensor)).toEqual(flat(values));
    }
  }
  const undivided = wholes();
  await readTensorsInto(file, undivided);
  for (const [name, values] of undivided) expect(flat(values)).toEqual(numbersOf(name));
});

test('a file of one process is read in pieces', async () => {
  const values = [...wholes()].map(([name, { shape, dtype }]) => ({
    ...{ name, shape, dtype },
    value: () => tensor(Float64Array.from(numbersOf(name))).view(shape),
  }));
  await writeTensors(file, values);
  for (const rank of [0, 1, 2]) {
    const read = piecesOf(3, rank, true);
    await readPiecesInto(file, read);
    for (const [name, { tensor: expected }] of piecesOf(3, rank))
      expect(flat(read.get(name)!.tensor)).toEqual(flat(expected));
  }
});

test('a file says of each piece where it belongs', async () => {
  const written = await write(3);
  const second = join(folder, 'optimizer-00002-of-00003.safetensors');
  expect([...written.keys()].map((path) => path.slice(folder.length + 1))).toEqual(
    [1, 2, 3].map((n) => `optimizer-0000${n}-of-00003.safetensors`),
  );
  const { tensors, metadata } = await openSafetensors(second);
  expect(metadata).toEqual({ a: '{"from":11,"shape":[3,5]}', b: '{"from":0,"shape":[7]}' });
  expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual([
    ['a', [4]],
    ['b', [7]],
  ]);
});

const at = (rank: number, world = 3) => join(folder, `optimizer-0000${rank + 1}-of-0000${world}.safetensors`);
/** The second of three files with another place of `b`. */
const forge = (place: string) =>
  writeSafetensors(
    at(1),
    [
      { name: 'a', dtype: 'F64', shape: [4], bytes: () => new Uint8Array(32) },
      { name: 'b', dtype: 'F64', shape: [7], bytes: () => new Uint8Array(56) },
    ],
    { a: '{"from":11,"shape":[3,5]}', b: place },
  );

test.each<[string, () => unknown, RegExp]>([
  ['one that is missing', () => rmSync(at(1)), /optimizer-00002-of-00003.safetensors: the file is missing/],
  [
    'one of another number of them',
    () => copyFileSync(at(0), at(0, 2)),
    /pieces of 2 and of 3 processes lie there together/,
  ],
  ['one that is there twice', () => copyFileSync(at(1), at(2)), /begins at element 11 here, .* ends at 15/],
  ['one without an end', () => copyFileSync(at(0), at(2)), /begins at element 0 here/],
  ['one that is cut short', () => writeFileSync(at(1), Buffer.alloc(3)), /3 bytes are too few/],
  ['a place that is none', () => forge('{"from": -1}'), /__metadata__, tensor "b": its place .* is not of the form/],
  ['a place that is no JSON', () => forge('{'), /its place "\{" is not of the form/],
  ['another shape', () => forge('{"from": 0, "shape": [8]}'), /tensor b ends at element 7, and has 8/],
])('%s is refused', async (_name, change, message) => {
  await write(3);
  await change();
  for (const rank of [0, 1, 2]) {
    const reading = readPiecesInto(file, piecesOf(3, rank, true));
    await expect(reading).rejects.toThrow(FormatError);
    await expect(readPiecesInto(file, piecesOf(3, rank, true))).rejects.toThrow(message);
  }
});

test('tensors that are not expected, missing or of another form are refused', async () => {
  await write(2);
  const few = wholes();
  few.delete('a');
  await expect(readTensorsInto(file, few)).rejects.toThrow(/00001-of-00002.safetensors: tensor a is not expected/);
  const more = wholes().set('d', zeros([1]));
  await expect(readTensorsInto(file, more)).rejects.toThrow(/tensor d is missing/);
  const other = wholes().set('c', zeros([2, 4], { dtype: 'float64' }));
  await expect(readTensorsInto(file, other)).rejects.toThrow(
    /tensor c is F64 \[2,2,2\], and should be float64 \[2,4\]/,
  );
  renameSync(at(0, 2), file);
  rmSync(at(1, 2));
  await expect(readTensorsInto(file, wholes())).rejects.toThrow(FormatError);
});

test('processes that cannot write are named, with the words and the code of the first', async () => {
  const good = await writePieces(file, { rank: 0, world: 3 }, piecesOf(3, 0));
  const nowhere = join(folder, 'none', 'optimizer.safetensors');
  const bad = await writePieces(nowhere, { rank: 1, world: 3 }, piecesOf(3, 1));
  const told = (reports: Parameters<typeof writtenFiles>[0]): UserError => {
    try {
      writtenFiles(reports);
    } catch (error) {
      return error as UserError;
    }
    throw new Error('nothing was told');
  };
  const one = told([good, bad, good]);
  expect(one).toBeInstanceOf(UserError);
  expect(one.message).toMatch(
    /^rank 1: .*00002-of-00003.safetensors cannot be written: .* or write to another folder$/,
  );
  expect(one.cause).toMatchObject({ code: 'ENOENT', syscall: 'open' });
  expect(told([bad, bad, bad]).message).toMatch(/^rank 0: .*\(ranks 1, 2 could not either\)$/);
});
