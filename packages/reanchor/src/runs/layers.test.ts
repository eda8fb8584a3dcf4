import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readRecipe } from './parse.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-layers-'));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'parts'));

const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

write('parts/model.yaml', 'model: m\nmaxGradNorm: 2\noptimizer: { lr: 1.0e-6, betas: [0.9, 0.95] }\n');
write(
  'parts/soft.yaml',
  'extends: model.yaml\nmethod: dpo\nreference: { update: soft, alpha: 0.6 }\nevaluate: { every: 5 }\n',
);

test('sections are merged key by key, lists and values replaced, from the lowest file up', () => {
  const file = write(
    'a.yaml',
    'extends: parts/soft.yaml\ndata: { train: x, validation: 5 }\noptimizer: { lr: 2.0e-6 }\n',
  );
  expect(readRecipe(file)).toMatchObject({
    model: 'm',
    maxGradNorm: 2,
    method: 'dpo',
    optimizer: { lr: 2e-6, betas: [0.9, 0.95] },
    reference: { update: 'soft', alpha: 0.6 },
    evaluate: { every: 5 },
  });
});

test('a reference with a rule of its own replaces the one below as a whole', () => {
  const file = write(
    'b.yaml',
    'extends: parts/soft.yaml\ndata: { train: x, validation: 5 }\nreference: { update: hard, tau: 0.25 }\n',
  );
  expect(readRecipe(file).reference).toEqual({ update: 'hard', tau: 0.25 });
});

test('null takes a key out, so that its default holds', () => {
  const file = write('c.yaml', 'extends: parts/soft.yaml\ndata: { train: x }\nevaluate: null\nmaxGradNorm: null\n');
  expect(readRecipe(file)).toMatchObject({ maxGradNorm: 1, evaluate: {} });
});

test('a mistake in a lower file is reported with its place there', () => {
  write('parts/wrong.yaml', 'model: m\nmethod: dpo\noptimizer:\n  lr: -1\n');
  const file = write('d.yaml', 'extends: parts/wrong.yaml\ndata: { train: x }\n');
  expect(() => readRecipe(file)).toThrow(/optimizer\.lr: -1 .*parts\/wrong\.yaml:4:7/s);
});

test('a file that is missing, a wrong name, and a circle say so', () => {
  expect(() => readRecipe(write('e.yaml', 'extends: nowhere.yaml\n'))).toThrow(
    /extends: .*nowhere\.yaml does not exist/,
  );
  expect(() => readRecipe(write('f.yaml', 'extends: 5\n'))).toThrow(/name a recipe file/);
  write('g.yaml', 'extends: h.yaml\n');
  expect(() => readRecipe(write('h.yaml', 'extends: g.yaml\n'))).toThrow(/extends itself/);
});
