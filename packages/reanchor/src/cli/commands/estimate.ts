import type { Command } from 'commander';
import { UsageError } from '../../errors.js';
import type { EstimateFlags } from '../estimate.js';
import type { StudyEstimateFlags } from '../estimate-study.js';
import type { Terminal } from '../terminal.js';
import { repeated } from './options.js';

/** Adds `reanchor estimate`. */
export function addEstimate(program: Command, terminal: Terminal): void {
  program
    .command('estimate')
    .description(
      'say what a recipe, or a study, will take before anything starts: steps, memory, FLOPs; runs, hours, disk',
    )
    .argument('<recipe>', 'the recipe or the study, a YAML file; neither weights nor rows need to be there')
    .addOption(repeated('--set <key=value>', 'of a recipe: as with train'))
    .option('--processes <count>', 'of a recipe: the processes that train together; --processes of train (default: 1)')
    .option(
      '--link <name>',
      'of a recipe on several processes: how their GPUs are linked, nvlink, nvlink4, pcie, 200gbit or 400gbit (default: all of them)',
    )
    .option('--out <folder>', 'of a study: the folder of its sweep; what is done in it is told')
    .option('--jobs <count>', 'of a study: the processes at once (default: 1)')
    .option('--json', 'print all numbers as JSON')
    .action(async (file: string, { set, processes, link, out, jobs, json }: EstimateFlags & StudyEstimateFlags) => {
      const { isStudyFile } = await import('../../sweep/index.js');
      if (await isStudyFile(file)) {
        refuse(
          { '--set': set[0], '--processes': processes, '--link': link },
          `${file} is a study; a recipe has this option`,
        );
        const { estimateStudyVerb } = await import('../estimate-study.js');
        return estimateStudyVerb(file, { out, jobs, json }, terminal);
      }
      refuse({ '--out': out, '--jobs': jobs }, `${file} is a recipe; a study has this option`);
      const { estimateVerb } = await import('../estimate.js');
      return estimateVerb(file, { set, processes, link, json }, terminal);
    });
}

/** Errors: UsageError for an option that was given and would have no effect. */
function refuse(options: Readonly<Record<string, string | undefined>>, why: string): void {
  for (const [flag, given] of Object.entries(options)) {
    if (given !== undefined) throw new UsageError(`${flag} has no effect: ${why}`);
  }
}
