import type { Command } from 'commander';
import type { SchemaFlags } from '../schema.js';
import type { Terminal } from '../terminal.js';

/** Adds `reanchor schema`. */
export function addSchema(program: Command, terminal: Terminal): void {
  program
    .command('schema')
    .description('print the JSON Schema of a recipe or a study, by which editors complete and check it')
    .argument('[kind]', 'recipe, recipe-part (a file that recipes extend), study or study-part', 'recipe')
    .option('--out <file>', 'write it into a file')
    .action(async (kind: string, flags: SchemaFlags) => {
      const { schemaVerb } = await import('../schema.js');
      await schemaVerb(kind, flags, terminal);
    });
}
