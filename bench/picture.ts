// Draws what the benchmarks sum up as bars, in SVG that is legible on light and dark pages.
// The figures as tables: harness.ts. Who writes it where: mod.ts.
import { shown, type Summary } from "./harness.ts";

const WIDTH = 860;
const NAMES = 170;
const FIGURES = 90;
const BAR = 18;
const GAP = 4;
const HEAD = 40;

// For light pages, and for dark ones.
const STYLE = `text {
    font: 13px system-ui, sans-serif;
    fill: #57606a;
  }
  .title {
    font-weight: 600;
    fill: #24292f;
  }
  .bar {
    fill: #8c959f;
  }
  .ours {
    fill: #0969da;
  }
  @media (prefers-color-scheme: dark) {
    text {
      fill: #9198a1;
    }
    .title {
      fill: #f0f6fc;
    }
    .bar {
      fill: #656c76;
    }
    .ours {
      fill: #4493f8;
    }
  }`;

/** Bars for each summary; those of one are as long as their figures, the longest as long as there is room. */
export function picture(summaries: readonly Summary[], names: Readonly<Record<string, string>>, ours: string): string {
  const lines: string[] = [];
  let y = 0;
  for (const { what, unit, of } of summaries) {
    const figures = Object.entries(of).filter((one): one is [string, number] => one[1] !== null);
    const longest = Math.max(...figures.map(([, figure]) => figure));
    lines.push(
      `<text class="title" x="0" y="${y + 22}">UDP: ${what}, ${unit === "M/s" ? "million a second" : unit}</text>`,
    );
    y += HEAD - 6;
    for (const [who, figure] of figures) {
      const length = Math.max(1, Math.round(figure / longest * (WIDTH - NAMES - FIGURES)));
      lines.push(
        `<text x="${NAMES - 10}" y="${y + 14}" text-anchor="end">${names[who]!.replaceAll("\`", "")}</text>`,
        `<rect class="${
          who === ours ? "ours" : "bar"
        }" x="${NAMES}" y="${y}" width="${length}" height="${BAR}" rx="2"/>`,
        `<text x="${NAMES + length + 6}" y="${y + 14}">${shown(figure)}</text>`,
      );
      y += BAR + GAP;
    }
    y += 12;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
  <title>UDP of this library beside others</title>
  <style>
  ${STYLE}
  </style>
  ${lines.join("\n  ")}
</svg>
`;
}
