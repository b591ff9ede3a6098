// Which mean and which deviation a row of the batch uses, as `rows` has it for one operand.
//
// Depends on the importing file for
//   index: array<u32>   one entry a row; bound to a placeholder and never read unless a mode is SELECTED.

const OWN: u32 = 0u;
const EACH: u32 = 1u;
const SELECTED: u32 = 2u;

// How rows find their mean, and how their deviation: row r uses row r, row r mod `shared_rows`, or row index[r].
override MEAN_ROWS: u32 = 0u;
override DEVIATION_ROWS: u32 = 0u;

// An index beyond the end would read outside the buffer.
fn mean_row(row: u32, shared_rows: u32) -> u32 {
    if MEAN_ROWS == EACH {
        return row % shared_rows;
    }
    if MEAN_ROWS == SELECTED {
        return min(index[row], shared_rows - 1u);
    }
    return row;
}

fn deviation_row(row: u32, shared_rows: u32) -> u32 {
    if DEVIATION_ROWS == EACH {
        return row % shared_rows;
    }
    if DEVIATION_ROWS == SELECTED {
        return min(index[row], shared_rows - 1u);
    }
    return row;
}
