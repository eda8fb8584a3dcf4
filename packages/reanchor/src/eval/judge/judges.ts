/** The judges of the evaluations, made of a chat client. */
import { existsSync } from 'node:fs';
import { UsageError } from '../../errors.js';
import { type ArenaVersion, arenaRules } from '../arena/leaderboard.js';
import { chatJudge, readArenaReply, readLetter, readLetterProbabilities, readWinner } from './chat-judge.js';
import type { PairJudge } from './judge.js';
import type { JudgeClient } from './judge-client.js';
import { readTemplate, type Template } from './template.js';
import { alpacaTemplate, arenaTemplates, type PairTemplateName, pairTemplates, ratingTemplate } from './templates.js';

export interface JudgeSettings {
  /** A file that replaces the template of the package. */
  template?: string | undefined;
  temperature?: number | undefined;
  /** The longest reply in tokens; default: what the evaluation's replies need. */
  maxNewTokens?: number | undefined;
}

/** Side by side with `Winner: A | B | C`; `template` is helpful (default), harmless, summary or a file. */
export async function sideBySideJudge(client: JudgeClient, settings: JudgeSettings): Promise<PairJudge> {
  const { template: given = 'helpful', temperature, maxNewTokens = 300 } = settings;
  const template = await pairTemplate(given);
  const templates = [template];
  return chatJudge({ client, templateOf: () => template, templates, read: readWinner, temperature, maxNewTokens });
}

/** AlpacaEval 2: the probabilities of the letters m and M, or with `isDiscrete` the letter that is written. */
export async function alpacaJudge(
  client: JudgeClient,
  { template: file, temperature, maxNewTokens = 1, isDiscrete = false }: JudgeSettings & { isDiscrete?: boolean },
): Promise<PairJudge> {
  const template = file === undefined ? alpacaTemplate : await readTemplate(file, 2);
  return chatJudge({
    client,
    templateOf: () => template,
    templates: [template],
    read: isDiscrete ? readLetter : readLetterProbabilities,
    temperature,
    maxNewTokens,
    topLogprobs: isDiscrete ? undefined : 20,
  });
}

/** Arena-Hard, with the five labels. A template of one's own serves all categories. */
export async function arenaJudge(
  client: JudgeClient,
  version: ArenaVersion,
  { template: file, temperature, maxNewTokens }: JudgeSettings,
): Promise<PairJudge> {
  const own = file === undefined ? undefined : await readTemplate(file, 2);
  const { usual, creative_writing: creative } = arenaTemplates;
  return chatJudge({
    client,
    templateOf: ({ category }) => own ?? (category === 'creative_writing' ? creative : usual),
    templates: own ? [own] : version === 'v2.0' ? [usual, creative] : [usual],
    read: readArenaReply(arenaRules[version].labels),
    temperature,
    maxNewTokens: maxNewTokens ?? (version === 'v2.0' ? 16_000 : 4096),
  });
}

/** The template of ratings, or a file's. */
export async function ratingTemplateOf(file: string | undefined): Promise<Template> {
  return file === undefined ? ratingTemplate : readTemplate(file, 1);
}

async function pairTemplate(given: string): Promise<Template> {
  if (given in pairTemplates) return pairTemplates[given as PairTemplateName];
  if (existsSync(given)) return readTemplate(given, 2);
  const names = Object.keys(pairTemplates).join(', ');
  throw new UsageError(
    (option) => `${option('template')}: ${JSON.stringify(given)} is not allowed; ${names} or a file are`,
  );
}
