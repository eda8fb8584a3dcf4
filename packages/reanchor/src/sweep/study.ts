/** A study: the text that says what `reanchor sweep` compares. */
import { RecipeError, UserError } from '../errors.js';
import { isRecord, mapTexts, readText } from '../formats/index.js';
import { type Layer, mergedLayers, type Problem, parseYaml, pathText, studyLayers, valueAt } from '../recipe/index.js';
import { expressionNames } from './expression.js';
import { builtInScores } from './score-names.js';
import { schemaProblems, unknownName } from './study-problems.js';
import { type ScoreInput, type StageValues, type StudyValues, studySchema } from './study-schema.js';

/** A checked study. */
export interface Study extends StudyValues {
  file: string;
  /** `file:line:column` of a key or value. */
  place(path: readonly PropertyKey[], what?: 'key' | 'value'): string;
}

/** A name of a stage where a text stands for what it makes. */
const reference = /\$\{stages\.([^}]*)\}/g;

/** The stages that the texts in a value name. */
export function stagesNamed(value: unknown): string[] {
  const names = new Set<string>();
  mapTexts(value, (text) => {
    for (const [, name] of text.matchAll(reference)) names.add(name!);
    return text;
  });
  return [...names];
}

/** The name of the variable that stands for what a stage makes. */
export const stageVariable = (name: string) => `stages.${name}`;

/** Whether a file has a key of a study, none of which a recipe has; false of one that cannot be read. */
export async function isStudyFile(file: string): Promise<boolean> {
  try {
    const { value } = parseYaml(await readText(file));
    return isRecord(value) && ['base', 'stages', 'replicates', 'measure', 'arms'].some((key) => key in value);
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** The study in a file. Errors: UserError for one that cannot be read; RecipeError with all that is wrong with it. */
export async function readStudy(file: string): Promise<Study> {
  return parseStudy(await readText(file), file);
}

/**
 * The study in a YAML text, and those that it extends, each laid over the next as recipes are; `file` is its name in
 * messages. Errors: RecipeError.
 */
export function parseStudy(text: string, file: string): Study {
  const layers = layersOf(text, file);
  const given = mergedLayers(layers);
  if (!isRecord(given)) {
    throw new RecipeError(file, [`a study has at least base, measure and arms, the keys of a map (${file})`]);
  }
  const place = placeIn(layers);
  const problems = schemaProblems(given);
  const values = problems.length > 0 ? undefined : studySchema.parse(given);
  if (values) problems.push(...ruleProblems(values));
  if (problems.length > 0) {
    const told = problems.map(({ path, message, isKey }) => `${message} (${place(path, isKey ? 'key' : 'value')})`);
    throw new RecipeError(file, told);
  }
  return { ...values!, stages: separateStages(values!.stages), file, place };
}

function layersOf(text: string, file: string): Layer[] {
  try {
    return studyLayers(text, file);
  } catch (error) {
    if (!(error instanceof RecipeError) || !text.includes(`\${stages.`)) throw error;
    const hint = `inside of braces, "\${stages.NAME}" needs quotes`;
    throw new RecipeError(
      error.file,
      error.problems.map((problem) => `${problem}; ${hint}`),
    );
  }
}

/** Where a value is: in the uppermost text that has it. */
function placeIn(layers: readonly Layer[]): Study['place'] {
  return (path, what = 'value') => {
    const { file, yaml } = layers.findLast((layer) => valueAt(layer.yaml.value, path) !== undefined) ?? layers.at(-1)!;
    const position = yaml.locate(path, what);
    return position ? `${file}:${position.line}:${position.column}` : file;
  };
}

/** A stage that samples and labels is two: the answers have a name of their own. */
function separateStages(stages: StudyValues['stages']): StudyValues['stages'] {
  const separate = Object.entries(stages).flatMap(([name, stage]): [string, StageValues][] => {
    if (!stage.sample || !stage.label) return [[name, stage]];
    const answers = answersOf(name);
    return [
      [answers, { sample: stage.sample }],
      [name, { label: { ...stage.label, answers: `\${${stageVariable(answers)}}` } }],
    ];
  });
  return Object.fromEntries(separate);
}

/** The stage of the answers of one that samples and labels. */
export const answersOf = (name: string) => `${name}-answers`;

/** What no schema of a single key can hold. */
function ruleProblems(study: StudyValues): Problem[] {
  const { stages, arms, measure, replicates } = study;
  return [
    ...nameProblems(['stages'], Object.keys(stages)),
    ...nameProblems(['arms'], Object.keys(arms)),
    ...Object.entries(stages).flatMap(([name, stage]) => formProblems(['stages', name], stage)),
    ...stageProblems(study),
    ...armProblems(arms),
    ...scoreProblems(measure.scores, ['measure', 'scores']),
    ...Object.entries(stages).flatMap(([name, { label }]) =>
      label ? scoreProblems({ score: label.score }, ['stages', name, 'label'], labelScores) : [],
    ),
    ...(Object.keys(arms).length === 0 ? [problem(['arms'], 'empty: a study has at least one arm')] : []),
    ...(replicates.over === 'order' || replicates.over in stages
      ? []
      : [
          problem(
            ['replicates', 'over'],
            `${replicates.over} is no stage; ${unknownName(replicates.over, ['order', ...Object.keys(stages)], 'allowed:')}`,
          ),
        ]),
  ];
}

/** Of what labels there is no policy that could be far from another one. */
const labelScores = builtInScores.filter((name) => name !== 'kl');

const problem = (path: readonly PropertyKey[], message: string): Problem => ({
  path,
  message: `${pathText(path)}: ${message}`,
  isKey: false,
});

/** Names become names of folders. */
function nameProblems(path: readonly PropertyKey[], names: readonly string[]): Problem[] {
  return names
    .filter((name) => !/^[A-Za-z0-9][\w.-]{0,60}$/.test(name))
    .map((name) => problem([...path, name], 'a name has letters, digits, _, . and -, at most 61 of them'));
}

function formProblems(path: readonly PropertyKey[], { corpus, init, train, sample, label }: StageValues): Problem[] {
  const alone = [corpus, init, train].filter((kind) => kind !== undefined).length;
  const isPairs = sample !== undefined || label !== undefined;
  if (alone + Number(isPairs) !== 1) {
    return [problem(path, 'a stage has the key corpus, init or train, or sample, or label, or the last two together')];
  }
  if (label && (label.answers === undefined) === (sample === undefined)) {
    return [
      problem([...path, 'label'], 'it needs answers: name them by the key answers, or sample them in this stage'),
    ];
  }
  return [];
}

function stageProblems({ stages, base, arms, measure }: StudyValues): Problem[] {
  const names = Object.keys(stages).flatMap((name) =>
    stages[name]!.sample && stages[name]!.label ? [name, answersOf(name)] : [name],
  );
  const found: Problem[] = [];
  mapTexts({ base, stages, arms, measure }, (text, path) => {
    for (const name of stagesNamed(text)) {
      if (!names.includes(name))
        found.push(problem(path, `there is no stage ${name}; ${unknownName(name, names, 'the stages are')}`));
    }
    return text;
  });
  if (found.length > 0) return found;
  return Object.keys(stages)
    .filter((name) => reaches(stages, name, name))
    .map((name) => problem(['stages', name], 'it depends on itself'));
}

function reaches(stages: StudyValues['stages'], from: string, to: string, seen = new Set<string>()): boolean {
  return stagesNamed(stages[from]).some((name) => {
    if (name === to) return true;
    if (seen.has(name)) return false;
    seen.add(name);
    return reaches(stages, name, to, seen);
  });
}

function armProblems(arms: StudyValues['arms']): Problem[] {
  return Object.keys(arms).flatMap((name) => {
    const seen = [name];
    for (let { base } = arms[name]!; base !== undefined; base = arms[seen.at(-1)!]!.base) {
      const path = ['arms', seen.at(-1)!, 'base'];
      if (typeof base !== 'string' || !(base in arms)) {
        return [
          problem(
            path,
            `there is no arm ${String(base)}; ${unknownName(String(base), Object.keys(arms), 'the arms are')}`,
          ),
        ];
      }
      if (seen.includes(base)) return [problem(path, `it inherits from itself: ${[...seen, base].join(' -> ')}`)];
      seen.push(base);
    }
    return [];
  });
}

/** What is wrong with scores; an expression may name those that are none. */
function scoreProblems(
  scores: Readonly<Record<string, ScoreInput>>,
  path: readonly PropertyKey[],
  builtIn: readonly string[] = builtInScores,
): Problem[] {
  const known = [...builtIn, ...Object.keys(scores).filter((name) => typeof scores[name] !== 'string')];
  return Object.entries(scores).flatMap(([name, score]) => {
    const at = [...path, name];
    if (!/^[A-Za-z_]\w{0,40}$/.test(name)) return [problem(at, 'the name of a score has letters, digits and _')];
    if (typeof score !== 'string') {
      if (builtInScores.some((one) => one === name)) return [problem(at, 'every answer has a score of this name')];
      const kinds = [score.command, score.surprise, score.reward].filter((kind) => kind !== undefined).length;
      if (kinds !== 1) return [problem(at, 'a score has one of the keys command, surprise and reward')];
      if (score.seconds !== undefined && !score.command) return [problem(at, 'seconds is the time limit of a command')];
      return [];
    }
    const names = expressionNames(score);
    if (typeof names === 'string') return [problem(at, names)];
    return names
      .filter((one) => !known.includes(one))
      .map((one) => problem(at, `there is no score ${one}; ${unknownName(one, known, 'an expression may have')}`));
  });
}
