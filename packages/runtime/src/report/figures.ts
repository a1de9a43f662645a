/** Figures as HTML. */
import { rampGradient, slicePixels } from "./colours.ts";
import { escapeHtml, formatNumber, formatUnits } from "./html.ts";
import type { DirectionFigure, DisplayPicture, Figure, GlyphFigure, MapFigure } from "./input.ts";
import type { Plane } from "./planes.ts";
import { type Pixels, pngDataUri } from "./png.ts";

export function renderFigure(figure: Figure): string {
  if (figure.kind === "map") return renderMap(figure);
  if (figure.kind === "directions") return renderDirections(figure);
  return renderGlyphs(figure);
}

function caption({ name, description }: { name: string; description: string }): string {
  return `<figcaption><h3>${escapeHtml(name)}</h3><p>${escapeHtml(description)}</p></figcaption>`;
}

function renderMap(figure: MapFigure): string {
  const [low, high] = figure.window;
  const draw = (slices: MapFigure["fitted"]): DisplayPicture[] =>
    slices.map((slice) => ({
      plane: slice.plane,
      pixels: slicePixels(slice, figure.window, figure.ramp),
    }));
  const units = formatUnits(figure.units);
  const rows = [
    { label: "Fitted", pictures: draw(figure.fitted) },
    ...(figure.truth ? [{ label: "Truth", pictures: draw(figure.truth) }] : []),
  ];
  return `<figure>${caption(figure)}${renderRows(figure.name, rows)}
<div class="bar"><span>${formatNumber(low)}</span><i style="background:${rampGradient(figure.ramp)}"></i><span>${formatNumber(high)}${units && ` ${escapeHtml(units)}`}</span></div></figure>`;
}

function renderDirections(figure: DirectionFigure): string {
  const rows = [
    { label: "Fitted", pictures: figure.fitted },
    ...(figure.truth ? [{ label: "Truth", pictures: figure.truth }] : []),
  ];
  return `<figure>${caption(figure)}${renderRows(figure.name, rows)}${directionKey}</figure>`;
}

const directionKey = `<div class="key"><span><b style="background:#e5383b"></b>left–right</span><span><b style="background:#2fb344"></b>front–back</span><span><b style="background:#3a5ff0"></b>up–down</span></div>`;

interface PictureRow {
  readonly label: string;
  readonly pictures: readonly DisplayPicture[];
}

/** Rows of planes on a light box, all at one scale: columns are as wide as their planes are in mm. */
function renderRows(name: string, rows: readonly PictureRow[]): string {
  const planes = rows[0].pictures.map(({ plane }) => plane);
  const columns = planes.map((plane) => `${widthMm(plane)}fr`).join(" ");
  const named = rows.length > 1;
  const body = rows.map(
    ({ label, pictures }) =>
      `${named ? `<div class="name">${escapeHtml(label)}</div>` : ""}${pictures
        .map(({ plane, pixels }) => renderPicture(plane, pixels, `${name}, ${label.toLowerCase()}`))
        .join("")}`,
  );
  const places = planes.map((plane) => `<div class="at">${placeOf(plane)}</div>`).join("");
  return `<div class="box"><div class="planes" style="grid-template-columns:${columns}">${body.join("")}${places}</div></div>`;
}

function widthMm(plane: Plane): number {
  return plane.width * plane.pixelMm[0];
}

/** Such as "axial, z = +4 mm". */
function placeOf(plane: Plane): string {
  const axis = { axial: "z", coronal: "y", sagittal: "x" }[plane.name];
  const at = Math.round(plane.positionMm * 10) / 10;
  return `${plane.name}, ${axis} = ${at > 0 ? "+" : at < 0 ? "−" : ""}${Math.abs(at)} mm`;
}

function renderPicture(plane: Plane, pixels: Pixels, name: string, overlay = ""): string {
  const { left, right, top, bottom } = plane.labels;
  const height = pixels.height * plane.pixelMm[1];
  const ratio = `${pixels.width * plane.pixelMm[0]}/${height}`;
  const alt = `${name}, ${plane.name} plane`;
  return `<div class="picture" style="aspect-ratio:${ratio}"><img alt="${escapeHtml(alt)}" src="${pngDataUri(pixels)}">${overlay}<span class="l">${left}</span><span class="r">${right}</span><span class="t">${top}</span><span class="b">${bottom}</span></div>`;
}

function renderGlyphs(figure: GlyphFigure): string {
  const { columns, rows, truth, plane } = figure;
  const lines = (truth ?? []).map(
    ({ from, to }) =>
      `<line x1="${cut(from[0])}" y1="${cut(from[1])}" x2="${cut(to[0])}" y2="${cut(to[1])}"/>`,
  );
  const overlay =
    truth === undefined
      ? ""
      : `<svg viewBox="0 0 ${columns} ${rows}" preserveAspectRatio="none" aria-hidden="true">${lines.join("")}</svg>`;
  const id = `sticks-${plane.name}-${plane.index}`;
  const toggle =
    truth === undefined
      ? ""
      : `<input type="checkbox" id="${id}"><label for="${id}">show the true directions as white lines</label>`;
  return `<figure class="glyphs wide">${caption(figure)}${toggle}<div class="box">${renderPicture(plane, figure.pixels, figure.name, overlay)}<div class="planes"><div class="at">${placeOf(plane)}</div></div></div>${directionKey}</figure>`;
}

function cut(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
