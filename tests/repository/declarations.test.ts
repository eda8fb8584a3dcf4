// What a program that imports the packages sees of them: the declarations of their public entries.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { beforeAll, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';

/** Each public entry, as in `reanchor/formats`, with its source. */
const entries = new Map(
  ['torch', 'reanchor'].flatMap((folder) => {
    const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'packages', folder, 'package.json'), 'utf8')) as {
      name: string;
      exports: Record<string, { types: string } | string>;
    };
    return Object.entries(manifest.exports).flatMap(([path, target]) =>
      typeof target === 'string'
        ? []
        : [
            [
              `${manifest.name}${path.slice(1)}`,
              `packages/${folder}/${target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, 'src/$1.ts')}`,
            ] as const,
          ],
    );
  }),
);

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  strict: true,
  types: [],
};

/** The entries by their names, where the sources, or what is made of them, lie below `folder`. */
const pathsBelow = (folder: string, extension: string) =>
  Object.fromEntries([...entries].map(([name, file]) => [name, [join(folder, file.replace(/\.ts$/, extension))]]));

/** A folder that is not there: beside the installed packages, so that they are found from it. */
const emitted = join(repositoryRoot, 'emitted');
let sources: ts.Program;
let declarations: ts.Program;

beforeAll(() => {
  const own = ts.readConfigFile(join(repositoryRoot, 'tsconfig.base.json'), ts.sys.readFile).config;
  sources = ts.createProgram(
    [...entries.values()].map((file) => join(repositoryRoot, file)),
    {
      ...ts.convertCompilerOptionsFromJson(own.compilerOptions, repositoryRoot).options,
      ...{ outDir: emitted, rootDir: repositoryRoot, sourceMap: false, declarationMap: false, noCheck: true },
      paths: pathsBelow(repositoryRoot, '.ts'),
    },
  );
  const files = new Map<string, string>();
  sources.emit(undefined, (name, text) => files.set(name, text), undefined, true);
  const consumer = { ...options, noEmit: true, paths: pathsBelow(emitted, '.d.ts') };
  const host = ts.createCompilerHost(consumer);
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.directoryExists = (name) => name.startsWith(emitted) || directoryExists!(name);
  declarations = ts.createProgram(Object.values(consumer.paths).flat(), consumer, host);
}, 240_000);

test('the declarations compile in a program that looks into them and has no library but that of ES2022', () => {
  const found = ts.getPreEmitDiagnostics(declarations).map(({ file, start = 0, messageText }) => {
    const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    return `${relative(emitted, file?.fileName ?? '')}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  expect(found).toEqual([]);
}, 240_000);

test('no declaration has an any', () => {
  const own = declarations.getSourceFiles().filter(({ fileName }) => fileName.startsWith(emitted));
  expect(own.length).toBeGreaterThan(entries.size);
  const found: string[] = [];
  for (const file of own) {
    const visit = (node: ts.Node) => {
      if (node.kind === ts.SyntaxKind.AnyKeyword) {
        found.push(`${relative(emitted, file.fileName)}: ${node.parent.getText(file)}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  expect(found).toEqual([]);
});

test.each([...entries])('every export of %s has a doc comment', (_, source) => {
  const checker = declarations.getTypeChecker();
  const file = declarations.getSourceFile(join(emitted, source.replace(/\.ts$/, '.d.ts')))!;
  const exports = checker.getExportsOfModule(checker.getSymbolAtLocation(file)!);
  expect(exports.length).toBeGreaterThan(0);
  const isDocumented = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length > 0;
  const bare = exports.filter(
    (symbol) =>
      !isDocumented(symbol) && !(symbol.flags & ts.SymbolFlags.Alias && isDocumented(checker.getAliasedSymbol(symbol))),
  );
  expect(bare.map(({ name }) => name)).toEqual([]);
});
