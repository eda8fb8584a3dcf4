import type { RunState } from 'reanchor/serve';
import { flat } from '../data/recipe.js';
import { number } from '../format.js';

/** The recipe of a run, and what it ran on. */
export function Recipe({ info }: { info: NonNullable<RunState['info']> }) {
  const { recipe, command, versions, machine } = info;
  return (
    <section class="group" aria-labelledby="recipe">
      <h2 id="recipe">Recipe</h2>
      {command && (
        <pre class="command">
          <code>npx {command.join(' ')}</code>
        </pre>
      )}
      <dl class="keys">
        {flat(recipe).map(([key, value]) => (
          <div key={key}>
            <dt>
              <code>{key}</code>
            </dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="sub">
        reanchor {versions.reanchor}, Node {versions.node}, torch {versions.torch}; {machine.cpus} CPUs ({machine.cpu}),{' '}
        {number(machine.memory / 2 ** 30)} GiB, {machine.platform} {machine.arch}
      </p>
    </section>
  );
}
