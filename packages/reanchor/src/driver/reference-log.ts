import { haltMessage } from '../planning/warnings.js';
import type { Recipe } from '../recipe/index.js';
import type { ReferencePolicy } from '../reference/reference-policy.js';
import type { NewRunEvent } from '../runs/index.js';
import type { StepListener, StepOutcome } from './step-listener.js';

/** Writes down each update of the reference, and once that it has reached its cap. */
export class ReferenceLog implements StepListener {
  #isHalted: boolean;

  constructor(
    private readonly section: Recipe['reference'],
    private readonly reference: ReferencePolicy,
    private readonly emit: (event: NewRunEvent) => void,
  ) {
    this.#isHalted = reference.isHalted;
  }

  onStep({ step, update, drift }: StepOutcome): void {
    const { section, reference } = this;
    if (update && section.update !== 'fixed') {
      const { version, share, distances } = update;
      const { before: distanceBefore, after: distanceAfter } = distances?.effective ?? distances ?? {};
      this.emit({ type: 'reference', step, version, update: section.update, share, distanceBefore, distanceAfter });
    }
    if (reference.isHalted && !this.#isHalted && 'maxDivergence' in section) {
      this.#isHalted = true;
      this.emit({ type: 'warning', message: haltMessage(step, drift!, section.maxDivergence!) });
    }
  }
}
