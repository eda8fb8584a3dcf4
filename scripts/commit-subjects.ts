// Prints the new commits whose subjects are too long or name no area, and fails when there are some.
import { subjectProblems } from '../tests/support/commit-subjects.js';
import { repositoryRoot } from '../tests/support/repository.js';

const problems = subjectProblems(repositoryRoot);
for (const problem of problems) console.log(problem);
process.exit(problems.length > 0 ? 1 : 0);
