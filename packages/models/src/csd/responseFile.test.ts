import { describe, expect, it } from "vitest";
import { temporaryDirectory } from "../io/testing.ts";
import { InputError } from "../model.ts";
import { parseResponse, readResponseFile, responseRowFor } from "./responseFile.ts";

const text = `# Shells: 0,1000,3000
# made by hand
900 0 0
500, -200, 30
300 -150 60 # the largest
`;
const table = { ...parseResponse(text, "The file"), subject: "The file" };

describe("response files", () => {
  it("have rows of numbers, comments and the b-values of the rows", () => {
    expect(table.rows).toEqual([
      [900, 0, 0],
      [500, -200, 30],
      [300, -150, 60],
    ]);
    expect(table.shells).toEqual([0, 1000, 3000]);
    expect(parseResponse("1e3 -2.5\r\n", "The file")).toEqual({
      rows: [[1000, -2.5]],
      shells: undefined,
    });
  });

  it("give the row of the shell, and that of b = 0", () => {
    expect(responseRowFor(table, 2950)).toEqual({ row: [300, -150, 60], b0Row: [900, 0, 0] });
    expect(responseRowFor(table, 1000).row).toEqual([500, -200, 30]);
    expect(() => responseRowFor(table, 2000)).toThrow(
      /rows for b = 0, 1000, 3000 and none within 100/,
    );
    expect(() => responseRowFor(table, undefined)).toThrow(/one response; choose a shell/);
    const unnamed = { rows: table.rows, subject: "The file" };
    expect(() => responseRowFor(unnamed, 1000)).toThrow(/3 rows and no "# Shells:" line/);
    expect(responseRowFor({ ...unnamed, rows: [[5, 4]] }, 1000)).toEqual({ row: [5, 4] });
    const pair = { ...parseResponse("# Shells: 0 1000\n9\n5 4", "The file"), subject: "The file" };
    expect(responseRowFor(pair, undefined)).toEqual({ row: [5, 4], b0Row: [9] });
  });

  it("that are none are refused in one sentence", () => {
    for (const wrong of ["", "# only words\n", "one two", "1 2\n3 x", "1 NaN"]) {
      expect(() => parseResponse(wrong, "The file")).toThrow(
        /^The file does not hold rows of numbers/,
      );
    }
    expect(() => parseResponse("# Shells: 0,1000\n5 4", "The file")).toThrow(
      /names 2 shells for 1 rows/,
    );
    using directory = temporaryDirectory();
    expect(() => readResponseFile(`${directory.path}/absent.txt`)).toThrow(InputError);
    expect(() => readResponseFile(`${directory.path}/absent.txt`)).toThrow(/does not exist/);
    expect(() => readResponseFile(directory.path)).toThrow(/cannot be read \(EISDIR\)/);
    const file = readResponseFile(directory.write("response.txt", text));
    expect([file.file, file.sha256.length, file.rows.length]).toEqual(["response.txt", 64, 3]);
  });
});
