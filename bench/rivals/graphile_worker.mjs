// Graphile Worker: its runner over a task that does nothing.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const JOBS = 200_000;
const CONCURRENCY = 20;
const LOCAL_QUEUE = 500;

const [act, connectionString] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: CONCURRENCY + 4 });
const quiet = new Logger(() => () => {});
const options = { pgPool: pool, noHandleSignals: true, logger: quiet };
const nothing = { scan: async () => {} };

const acts = {
    fill: async () => {
        const utils = await makeWorkerUtils({ pgPool: pool, logger: quiet });
        await utils.migrate();
        for (let number = 0; number < JOBS; number += 10_000)
            await utils.addJobs(Array.from({ length: 10_000 }, () => ({ identifier: "scan", payload: {} })));
        await utils.release();
    },
    one: async () => {
        const runner = await run({ ...options, concurrency: 1, taskList: nothing });
        await runner.promise;
    },
    best: async () => {
        const worker = { concurrentJobs: CONCURRENCY, localQueue: { size: LOCAL_QUEUE }, completeJobBatchDelay: 0 };
        const runner = await run({ ...options, preset: { worker }, taskList: nothing });
        await runner.promise;
    },
    // The first worker counts as gone and loses its job, another one takes it, the first one ends it.
    late: async () => {
        let calls = 0;
        let takenOver;
        const another = new Promise((resolve) => { takenOver = resolve; });
        const scan = async (_payload, helpers) => {
            calls += 1;
            if (calls > 1) {
                takenOver(helpers.job.id);
                return new Promise(() => {});
            }
            await pool.query(
                "update graphile_worker._private_jobs set locked_at = null, locked_by = null, priority = -1000 where id = $1",
                [helpers.job.id]);
            await run({ ...options, concurrency: 1, taskList: { scan } });
            if ((await another) !== helpers.job.id) throw new Error("the job was not taken over");
            setTimeout(async () => {
                const { rowCount } = await pool.query(
                    "select from graphile_worker._private_jobs where id = $1", [helpers.job.id]);
                console.log(rowCount ? "refused" : "taken");
                process.exit();
            }, 1000);
        };
        const runner = await run({ ...options, concurrency: 1, taskList: { scan } });
        await runner.promise;
    },
};

await acts[act]();
process.exit();
