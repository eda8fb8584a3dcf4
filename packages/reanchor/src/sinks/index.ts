/** Where the metrics of a run go besides events.jsonl: TensorBoard, MLflow. Loads no torch. */
import { basename, resolve } from 'node:path';
import type { Clock } from '../clock.js';
import { type Recipe, textHere } from '../recipe/index.js';
import type { RunEvent } from '../runs/index.js';
import { MlflowSink } from './mlflow-sink.js';
import type { MetricSink, RunEnd } from './sink.js';
import { TensorBoardSink } from './tensorboard-sink.js';

export type { MetricSink, RunEnd } from './sink.js';

/** The sinks of a run as one; disposed before it is closed, it tells them that the run failed. */
export class MetricSinks implements AsyncDisposable {
  readonly #sinks: MetricSink[];
  #isClosed = false;

  /**
   * The sinks that a recipe's `log` names, for the run in `folder`; `warn` hears what fails. `resumedAt` is the step
   * from which a resumed run goes on; `clock` is by what they wait.
   */
  constructor(
    recipe: Recipe,
    folder: string,
    warn: (message: string) => void,
    { resumedAt, clock }: { resumedAt?: number | undefined; clock?: Clock | undefined } = {},
  ) {
    const { tensorboard, mlflow, experiment = 'reanchor' } = recipe.log;
    this.#sinks = [];
    if (tensorboard) this.#sinks.push(new TensorBoardSink(folder, warn, resumedAt));
    if (mlflow !== undefined) {
      const runName = basename(resolve(folder));
      const address = textHere('log.mlflow', mlflow);
      this.#sinks.push(new MlflowSink({ address, shown: mlflow, experiment, runName, recipe, warn, folder, clock }));
    }
  }

  write(event: RunEvent): void {
    for (const sink of this.#sinks) sink.write(event);
  }

  async close(end: RunEnd): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#sinks.map((sink) => sink.close(end)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosed) await this.close('failed');
  }
}
