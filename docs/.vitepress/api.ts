// Writes pages of what the packages export to site/api, by TypeDoc from their sources: `npm run docs:api`.
import { join } from 'node:path';
import { Application, type DeclarationReflection } from 'typedoc';
import { address, libraryEntries, root } from './repository.js';

const entries = libraryEntries();

const application = await Application.bootstrapWithPlugins({
  entryPoints: entries.map(({ source }) => join(root, source)),
  tsconfig: join(root, 'tsconfig.json'),
  // The types are checked by `npm run typecheck`.
  skipErrorChecking: true,
  plugin: ['typedoc-plugin-markdown'],
  out: join(root, 'site/api'),
  name: 'Library',
  readme: 'none',
  sourceLinkTemplate: `${address}/blob/main/{path}#L{line}`,
  // A link in a comment to what is not exported is for those who read the source, and is its text here.
  validation: false,
  logLevel: 'Error',
});
const project = await application.convert();
if (project === undefined) throw new Error('TypeDoc made nothing of the sources');
for (const entry of project.children ?? []) entry.name = nameOf(entry);
await application.generateOutputs(project);
if (application.logger.hasErrors()) process.exitCode = 1;

/** What a program imports an entry by. */
function nameOf({ sources }: DeclarationReflection): string {
  const file = sources?.[0]?.fullFileName;
  const entry = entries.find(({ source }) => file === join(root, source));
  if (entry === undefined) throw new Error(`${file} is no entry of a package`);
  return entry.name;
}
