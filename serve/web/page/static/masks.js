// COCO's compressed run lengths, as the API gives them, back to class ids.

/** The run lengths that a string of `counts` stands for: zeros and ones in turn. */
export function runLengths(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    let code;
    do {
      code = counts.charCodeAt(at++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
    } while (code & 0x20);
    if (code & 0x10) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Class ids, row by row, of `[height, width]`; pixels of no class are 255. */
export function classIds(segments, height, width) {
  const ids = new Uint8Array(height * width).fill(255);
  for (const { id, counts } of segments) {
    let pixel = 0; // counted down the columns
    runLengths(counts).forEach((length, run) => {
      if (run % 2) {
        for (let k = pixel; k < pixel + length; k++) {
          ids[(k % height) * width + Math.floor(k / height)] = id;
        }
      }
      pixel += length;
    });
  }
  return ids;
}

/** Paint ids onto a canvas of their size, in the colours of those that `shown` lets through. */
export function paint(canvas, ids, colors, shown = () => true) {
  const table = new Uint32Array(256);
  const entry = new Uint8Array(table.buffer);
  for (const [id, color] of Object.entries(colors)) {
    if (shown(Number(id))) entry.set([...color, 255], 4 * id);
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < ids.length; k++) pixels[k] = table[ids[k]];
  context.putImageData(image, 0, 0);
}
