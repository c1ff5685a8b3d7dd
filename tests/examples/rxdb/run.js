// Runs scenarios one after the other: node run.js URL KEY OPTIONS [NAME...], with the rounds and the seed as OPTIONS.
// It prints each outcome as JSON, and each command for the operator; a line on stdin says that the command has run.
import { createInterface } from 'node:readline';

import { closeAll } from './client.js';
import { merging } from './merging.js';
import { refusing } from './refusing.js';
import { randomEdits } from './rounds.js';

const [url, key, options, ...names] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (message) => console.log(JSON.stringify(message));
const operate = async (...command) => {
    print({ command });
    await answers.next();
};
const scenarios = { ...merging, ...refusing, random_edits_end_equal_everywhere: randomEdits };

for (const name of names.length ? names : Object.keys(scenarios)) {
    const [began, outcome] = [Date.now(), { name }];
    try {
        outcome.report = await scenarios[name](url, key, { operate, ...JSON.parse(options) });
    } catch (error) {
        outcome.error = error.stack;
    }
    await closeAll();
    print({ ...outcome, seconds: (Date.now() - began) / 1000 });
}
process.exit(0);
