// face-api's AgeGenderNet on a list of pictures, as a foreign program for `agewise-lab evaluate --command`.
//
//     npm install --prefix FOLDER @vladmandic/face-api @tensorflow/tfjs @tensorflow/tfjs-backend-wasm jpeg-js
//     NODE_PATH=FOLDER/node_modules node benchmarks/face_api.mjs INPUT.csv OUTPUT.csv
//
// INPUT has a column `path` of JPEG files that are crops already; OUTPUT gets path, age_years, female_probability.
// The pictures' time a face (resizing and network, WebAssembly, one thread) goes to standard error.
import fs from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
const jpeg = require("jpeg-js");
const [input, output] = process.argv.slice(2);
await tf.setBackend("wasm").catch(() => tf.setBackend("cpu"));
await tf.ready();
console.error("backend", tf.getBackend());
const folder = require.resolve("@vladmandic/face-api/package.json").replace(/package.json$/, "model");
await faceapi.nets.ageGenderNet.loadFromDisk(folder);
const lines = fs.readFileSync(input, "utf8").trim().split("\n").slice(1);
const rows = ["path,age_years,female_probability"];
const times = [];
for (const path of lines) {
  const { data, width, height } = jpeg.decode(fs.readFileSync(path), { useTArray: true, formatAsRGBA: false });
  const image = tf.tensor3d(new Int32Array(data), [height, width, 3], "int32");
  const begin = performance.now();
  const { age, gender, genderProbability } = await faceapi.nets.ageGenderNet.predictAgeAndGender(image);
  times.push(performance.now() - begin);
  image.dispose();
  rows.push(`${path},${age},${gender === "female" ? genderProbability : 1 - genderProbability}`);
}
fs.writeFileSync(output, rows.join("\n") + "\n");
times.sort((a, b) => a - b);
console.error(`${times.length} faces, median ${times[times.length >> 1].toFixed(2)} ms`);
