// The rules from raw columns to model inputs: those of columns.py, in JavaScript.

const MISSING = "__missing__";
const LARGEST = 3.4028234663852886e38;
const TIME = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d:?\d\d(?::?\d\d)?)?)?$/;

/** A row is wrong; `field` names the column. */
export class InvalidInput extends Error {
  constructor(field, row, expected) {
    super(`Column '${field}'${row === null ? "" : `, row ${row}`}: expected ${expected}.`);
    this.field = field;
    this.row = row;
  }
}

/** Turn columns, {name: [value, …]}, into {input: Float32Array, or an array of strings}. */
export function encodeInputs(features, columns) {
  const inputs = {};
  let rows = null;
  features.forEach((feature, index) => {
    if (!Object.hasOwn(columns, feature.name)) throw new InvalidInput(feature.name, null, "it in every row");
    const values = columns[feature.name];
    rows ??= values.length;
    if (values.length !== rows) throw new InvalidInput(feature.name, null, `${rows} values, as others have`);
    ENCODERS[feature.kind](`in_${String(index).padStart(3, "0")}`, feature, values, inputs);
  });
  return inputs;
}

const ENCODERS = { numeric: encodeNumeric, categorical: encodeCategorical, datetime: encodeDatetime };

function isMissing(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

function encodeNumeric(name, feature, values, inputs) {
  const wantsBoolean = feature.type === "boolean";
  inputs[name] = Float32Array.from(values, (value, row) => {
    if (isMissing(value)) return NaN;
    const number = wantsBoolean && typeof value === "boolean" ? Number(value) : value;
    if (wantsBoolean && number !== 0 && number !== 1) throw new InvalidInput(feature.name, row, "true or false");
    if (typeof number !== "number") throw new InvalidInput(feature.name, row, "a number");
    if (Math.abs(number) > LARGEST) throw new InvalidInput(feature.name, row, "a finite number that fits 32 bits");
    return number - feature.offset;
  });
}

function encodeCategorical(name, feature, values, inputs) {
  const isTime = feature.type === "date" || feature.type === "timestamp";
  inputs[name] = Array.from(values, (value, row) => {
    if (isMissing(value)) return MISSING;
    return isTime ? spellInstant(feature, value, row) : spellCategory(feature, value, row);
  });
}

function spellCategory(feature, value, row) {
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return spellNumber(feature, value, row);
  if (typeof value !== "string" || /\p{Surrogate}/u.test(value)) {
    throw new InvalidInput(feature.name, row, "text, a number or a boolean");
  }
  return value;
}

function spellNumber(feature, value, row) {
  if (!Number.isFinite(value)) throw new InvalidInput(feature.name, row, "text, a number or a boolean");
  if (Number.isInteger(value)) return BigInt(value).toString();
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, "e-0$1");
}

/** Milliseconds since 1970 (whole seconds of them), and microseconds beyond. */
function parseInstant(feature, value, row) {
  const refusal = new InvalidInput(feature.name, row, "an ISO 8601 time such as 2013-01-31T05:00:00Z");
  const found = typeof value === "string" ? TIME.exec(value) : null;
  if (found === null) throw refusal;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCHours() === hour;
  if (!isReal || year < 1 || minute > 59 || second > 59) throw refusal;
  const micros = Number((found[7] ?? "").padEnd(6, "0").slice(0, 6));
  return { millis: date.getTime() - offsetMillis(found[8], refusal), micros };
}

function offsetMillis(zone, refusal) {
  if (zone === undefined || zone === "Z") return 0;
  const [hours, minutes, seconds] = zone.slice(1).replaceAll(":", "").padEnd(6, "0").match(/\d\d/g).map(Number);
  if (hours > 23 || minutes > 59 || seconds > 59) throw refusal;
  return (zone[0] === "-" ? -1000 : 1000) * (hours * 3600 + minutes * 60 + seconds);
}

function spellInstant(feature, value, row) {
  const { millis, micros } = parseInstant(feature, value, row);
  const text = new Date(millis).toISOString();
  return feature.type === "date" ? text.slice(0, 10) : `${text.slice(0, 19)}.${String(micros).padStart(6, "0")}`;
}

function encodeDatetime(name, feature, values, inputs) {
  const dates = Array.from(values, (value, row) =>
    isMissing(value) ? null : new Date(parseInstant(feature, value, row).millis),
  );
  const take = (part) => Float32Array.from(dates, (date) => (date === null ? NaN : part(date)));
  inputs[`${name}_year`] = take((date) => date.getUTCFullYear());
  inputs[`${name}_month`] = take((date) => date.getUTCMonth() + 1);
  inputs[`${name}_dayofweek`] = take((date) => (date.getUTCDay() + 6) % 7);
  inputs[`${name}_hour`] = take((date) => date.getUTCHours());
}
