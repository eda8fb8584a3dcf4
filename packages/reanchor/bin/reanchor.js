#!/usr/bin/env node
// The launcher is plain JavaScript and always present, so that npm can link the command before the first build.
import('../dist/cli/main.js').then(({ main }) => main(process.argv));
