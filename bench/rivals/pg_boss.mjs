// pg-boss: `fetch`, then `complete` for the attempt that was fetched.
import { PgBoss } from "pg-boss";

const JOBS = 200_000;
const QUEUE = "scan";
const BATCH = 100;

const work = async (boss, batchSize) => {
    for (;;) {
        const jobs = await boss.fetch(QUEUE, { batchSize, includeMetadata: true });
        if (jobs.length > 0) await boss.complete(QUEUE, jobs);
    }
};

const acts = {
    fill: async (boss) => {
        await boss.createQueue(QUEUE);
        for (let number = 0; number < JOBS; number += 10_000)
            await boss.insert(QUEUE, Array.from({ length: 10_000 }, () => ({ data: {} })));
    },
    one: (boss) => work(boss, 1),
    best: (boss) => work(boss, BATCH),
    // The job counts as expired and is to be retried, another worker fetches it, the first one completes it.
    late: async (boss) => {
        const fetch = async () => (await boss.fetch(QUEUE, { batchSize: 1, includeMetadata: true, priority: true }))[0];
        const stalled = await fetch();
        await boss.getDb().executeSql(
            "update pgboss.job set state = 'retry', priority = 1000, start_after = now() where id = $1", [stalled.id]);
        const takenOver = await fetch();
        if (takenOver.id !== stalled.id) throw new Error("the job was not taken over");
        await boss.complete(QUEUE, stalled);
        const [stored] = await boss.findJobs(QUEUE, { id: stalled.id });
        console.log(stored.state === "active" ? "refused" : "taken");
    },
};

const [act, url] = process.argv.slice(2);
const boss = new PgBoss({ connectionString: url, max: 1, supervise: false, schedule: false });
boss.on("error", (error) => { throw error; });
await boss.start();
await acts[act](boss);
await boss.stop({ graceful: false });
process.exit();
