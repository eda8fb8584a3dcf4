/** The models of runs: checkpoints in the order of training, then the trained model. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError, UserError } from '../../errors.js';
import { isAdapterFolder } from '../../hub/index.js';

/** A model, or an adapter, by its folder, or owner/name on the Hub. */
export interface NamedModel {
  name: string;
  model: string;
}

const isModel = (folder: string) => existsSync(join(folder, 'config.json')) || isAdapterFolder(folder);

/**
 * The models of what is given, `MODEL` or `name=MODEL`: of a run folder `checkpoints/step-*` by step and `final`, of a
 * folder of checkpoints its `step-*`, else the folder or the name on the Hub itself. Errors: UserError for a folder
 * without a model, UsageError for one that is given twice.
 */
export function modelsOf(given: readonly string[]): NamedModel[] {
  const models = given.flatMap((text) => {
    const at = text.indexOf('=');
    const isNamed = at > 0 && !text.slice(0, at).includes('/');
    const model = isNamed ? text.slice(at + 1) : text;
    return expand(isNamed ? text.slice(0, at) : model.replace(/(?<=.)\/+$/, ''), model);
  });
  const names = models.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return models;
  throw new UsageError(`two models go by the name ${twice}: name them, as in first=${given[0]} second=...`);
}

function expand(name: string, model: string): NamedModel[] {
  const isFolder = statSync(model, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder || isModel(model)) return [{ name, model }];
  const inner = [...steps(join(model, 'checkpoints')), ...steps(model), join(model, 'final')].filter(isModel);
  if (inner.length > 0) return inner.map((folder) => ({ name: `${name}/${folder.split('/').at(-1)}`, model: folder }));
  throw new UserError(
    `${model} holds no model: a model folder has config.json, an adapter's adapter_config.json; a run folder has such folders as checkpoints/step-* and final`,
  );
}

/** The folders of checkpoints in a folder, in the order of their steps; none where there is no such folder. */
function steps(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^step-\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
    .map((name) => join(folder, name));
}
