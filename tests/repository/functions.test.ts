import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

/** The lines of a function at most. */
const most = 60;

/**
 * Longer ones, with their lines. The list only gets shorter: a function that shrank, or is gone, is to be mended here.
 */
const longer: Readonly<Record<string, number>> = {
  'packages/dashboard/src/pages/RunPage.tsx Events': 69,
  'packages/reanchor/src/plots/line-chart.ts lineChart': 68,
  'packages/reanchor/src/stats/bradley-terry.ts solve': 84,
};

/**
 * The functions of a file with a name, with their lines: declarations, methods, and functions that a name stands for.
 */
function functionsOf(file: string): [name: string, lines: number][] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const found: [string, number][] = [];
  const visit = (node: ts.Node) => {
    const name = nameOf(node);
    if (name) found.push([name, lineOf(node.end) - lineOf(node.getStart()) + 1]);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/**
 * What a function is called, where it is one: by its own name, or that of the variable or property it is the value of.
 */
function nameOf(node: ts.Node): string | undefined {
  if (!ts.isFunctionLike(node) || !('body' in node && node.body)) return undefined;
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (node.name) return node.name.getText();
  const { parent } = node;
  const isNamed =
    ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent);
  return isNamed ? parent.name.getText() : undefined;
}

test('functions fit on a screen', () => {
  const files = ['packages', 'bench', 'scripts'].flatMap((folder) => sourceFiles(folder));
  const long = files
    .filter((file) => /(?<!\.test|\.gen)\.tsx?$/.test(file) && !file.includes('/testing/'))
    .flatMap((file) =>
      functionsOf(file)
        .filter(([, lines]) => lines > most)
        .map(([name, lines]) => [`${relative(repositoryRoot, file)} ${name}`, lines] as const),
    );
  expect(Object.fromEntries(long)).toEqual(longer);
});
