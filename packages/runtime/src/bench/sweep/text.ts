/** What `runtime bench sweep` prints. */
import { join } from "node:path";
import { grouped } from "../../cli/parse.ts";
import { table } from "../../cli/table.ts";
import { sweepFiles } from "./files.ts";
import type { SweepRecord } from "./record.ts";
import { summarise } from "./summary.ts";
import { microseconds, percent, plusMinus, secondsOf, sideOf } from "./words.ts";

const header = [
  ...["model", "side", "workers", "chunks", "time", "voxels/s", "speed-up", "efficiency"],
  ...["slowest/fastest", "a chunk"],
];

/** The fastest chunk count of each number of workers, and where the rest is. */
export function renderSweep(record: SweepRecord, directory: string): string {
  const rows = summarise(record).flatMap(({ model, voxels, serial, peerSerial, series }) => {
    const alone = (side: string, seconds: typeof serial) =>
      seconds === undefined
        ? []
        : [
            [
              model,
              side,
              "1",
              "1",
              secondsOf(seconds),
              grouped(voxels / seconds.median),
              "1",
              "",
              "",
              "",
            ],
          ];
    return [
      ...alone("Fascicle, serial", serial),
      ...alone("DIPY, one process", peerSerial),
      ...series.map((one) => [
        model,
        sideOf(one),
        `${one.workers}`,
        `${one.fastest.chunks}`,
        secondsOf(one.fastest.seconds),
        grouped(voxels / one.fastest.seconds.median),
        plusMinus(one.fastest.speedUp),
        percent(one.fastest.efficiency),
        one.slowestOverFastest === undefined ? "" : plusMinus(one.slowestOverFastest),
        one.secondsPerChunk === undefined ? "" : microseconds(one.secondsPerChunk),
      ]),
    ];
  });
  const lines = [
    ...table(header, rows),
    "",
    `page    ${join(directory, sweepFiles.page)}`,
    `runs    ${join(directory, sweepFiles.csv)}, ${join(directory, sweepFiles.json)}`,
  ];
  return `${lines.join("\n")}\n`;
}
