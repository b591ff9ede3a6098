// Which row of a shared operand (prototypes, head weights) a row of the batch uses.
//
// Depends on the importing file for
//   index: array<u32>   one entry a row; bound to a placeholder and never read unless ROWS is SELECTED.

const OWN: u32 = 0u;
const EACH: u32 = 1u;
const SELECTED: u32 = 2u;

// How rows find their partner: row r uses row r, row r mod `shared_rows`, or row index[r].
override ROWS: u32 = 0u;

fn shared_row(row: u32, shared_rows: u32) -> u32 {
    if ROWS == EACH {
        return row % shared_rows;
    }
    if ROWS == SELECTED {
        // An index beyond the end would read outside the buffer.
        return min(index[row], shared_rows - 1u);
    }
    return row;
}
