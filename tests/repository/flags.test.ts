// Flags are the command's: the library names its options (`UserError.told`), and the command writes flags for them.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { flagOf } from '#reanchor/cli/failure.js';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

const source = join(repositoryRoot, 'packages/reanchor/src');

/** What has flags in its texts all the same. */
const exempt = [
  // An override is placed as it was written: --set KEY=VALUE.
  'recipe/parse.ts',
  'recipe/recipe.ts',
  'sweep/settings.ts',
  // A flag of srun.
  'launch/world.ts',
  // A flag of Node.js.
  'sweep/pool.ts',
  // One of V8.
  'tokens/tokenizers.ts',
  // How a run that stopped is gone on with: by the command that began it.
  'driver/',
  'planning/digests.ts',
];

/** The literal parts of texts in a file that hold a flag. */
function flagsIn(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
    if (isText) found.push(...(node.text.match(/(?<![\w-])--[a-z][\w-]*/g) ?? []));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest));
  return found;
}

const library = sourceFiles('packages/reanchor/src').filter((file) => !/\.test\.ts$|\/src\/cli\//.test(file));

test('no text of the library names a flag of the command', () => {
  const problems = library
    .map((file) => ({ file: relative(source, file), flags: flagsIn(file) }))
    .filter(({ file, flags }) => flags.length > 0 && !exempt.some((path) => file.startsWith(path)));
  expect(problems).toEqual([]);
});

test('every option that a message names has a flag', () => {
  const all = (command: ReturnType<typeof commandLine>): string[] => [
    ...command.options.map(({ long }) => long!),
    ...command.commands.flatMap(all),
  ];
  const flags = all(commandLine(new Terminal()));
  const named = library.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\boption\('([\w.]+)'\)/g)].map(([, name]) => name!),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.map(flagOf).filter((flag) => !flags.includes(flag))).toEqual([]);
});
