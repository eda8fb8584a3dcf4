import {
  configureProcess,
  loadModel,
  loadPreferenceRows,
  loadTokenizer,
  type RecipeInput,
  type RunEvent,
  readEvents,
  scorePairs,
  TextGenerator,
  tokenizePairs,
  train,
} from 'reanchor';

const recipe: RecipeInput = {
  model: 'path/to/model',
  method: 'dpo',
  reference: { update: 'soft', alpha: 0.6, maxDivergence: 0.2 },
  data: { train: 'pairs.jsonl', validation: 200 },
  optimizer: { lr: 1e-6 },
  evaluate: { every: 20 },
};
const out = 'runs/from-code';

configureProcess(recipe);
const run = train({ recipe, out });
for await (const event of run) {
  if (event.type === 'step') console.log(event.step, event.metrics.loss);
  if (event.type === 'evaluation') console.log('accuracy', event.metrics['rewards/accuracies']);
  if (event.type === 'warning') console.warn(event.message);
  if (event.type === 'evaluation' && event.step === 20) break;
}
const stopped = await run;
console.log(stopped.isFinished, stopped.steps, stopped.final);

const onEvent = (event: RunEvent) => {
  if (event.type === 'evaluation') console.log(event.step, event.metrics);
};
const result = await train({ recipe, out, resume: true, onEvent });
console.log(result.steps, result.evaluations.at(-1)?.metrics['rewards/margins']);

using model = await loadModel(result.final, { dtype: 'float32' });
const rows = await loadPreferenceRows(['pairs.jsonl']);
const { pairs } = tokenizePairs(rows, await loadTokenizer(result.final), { maxLength: 1024 });
const scores = await scorePairs(model, pairs, { tokensPerMicroBatch: 16384 });
console.log(scores.length, scores[0]);

const { events } = readEvents(`${result.folder}/events.jsonl`);
const moved = events.filter((event) => event.type === 'reference').length;
console.log(`the reference moved ${moved} times`);

using generator = await TextGenerator.load(result.final);
const answers = await generator.complete(['Once upon a time'], { maxNewTokens: 32, temperature: 0 });
console.log(answers[0]?.text);
