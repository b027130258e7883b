/** Names for functions: the text of a request or of settings does not hold them. */

const functionNumbers = new WeakMap<object, number>();
let numberedFunctions = 0;

/** What two functions say can only be known to be the same if they are one. In this process. */
export function functionNumber(named: object): number {
  let number = functionNumbers.get(named);
  if (number === undefined) functionNumbers.set(named, (number = numberedFunctions += 1));
  return number;
}
