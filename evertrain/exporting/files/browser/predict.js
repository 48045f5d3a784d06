// Asks the model with onnxruntime-web, which the caller brings.

import { encodeInputs } from "./columns.js";

/** Open the model that lies in `folder`. */
export async function openModel(ort, folder) {
  ort.env.wasm.numThreads = 1;
  const signature = await (await fetch(`${folder}/signature.json`)).json();
  const session = await ort.InferenceSession.create(`${folder}/model.onnx`);
  return { signature, predict: (columns) => predict(ort, session, signature, columns) };
}

async function predict(ort, session, signature, columns) {
  const feeds = {};
  for (const [name, values] of Object.entries(encodeInputs(signature.features, columns))) {
    const kind = values instanceof Float32Array ? "float32" : "string";
    feeds[name] = new ort.Tensor(kind, values, [values.length, 1]);
  }
  const wanted = session.outputNames.slice(0, signature.has_probabilities ? 2 : 1);
  const answers = await session.run(feeds, wanted);
  const first = Array.from(answers[wanted[0]].data, Number);
  if (signature.classes === null) return { labels: first, probabilities: null };
  const labels = first.map((code) => signature.classes[code]);
  if (!signature.has_probabilities) return { labels, probabilities: null };
  const flat = Array.from(answers[wanted[1]].data, (value) => Math.min(1, Math.max(0, value)));
  const width = signature.classes.length;
  return { labels, probabilities: first.map((_, row) => flat.slice(row * width, (row + 1) * width)) };
}
