//! Linear sum assignment: the cheapest one-to-one matching of rows to columns.
//!
//! The Hungarian method in its shortest augmenting path form (Jonker and Volgenant 1987): rows are matched one by one,
//! each by a Dijkstra search over reduced costs, with potentials that keep these non-negative. O(min(r,c)^2 max(r,c)).

/// The largest magnitude of a cost, so that no sum of costs can overflow.
const LARGEST: f64 = 1e150;

/// Why an assignment cannot be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentError {
    /// The costs are not a rows x columns matrix.
    #[error("{found} costs cannot be a matrix of {rows} x {columns}")]
    Shape {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Costs given.
        found: usize,
    },
    /// A cost is infinite, not a number, or beyond 1e150.
    #[error("cost {cost} at row {row}, column {column} is not a finite number within 1e150")]
    Cost {
        /// Row of the cost.
        row: usize,
        /// Column of the cost.
        column: usize,
        /// The cost.
        cost: f64,
    },
}

/// The column matched to each row, for the least sum of costs.
///
/// `costs` is `[rows, columns]`, row-major. min(rows, columns) pairs are made: a row stays `None` only where there are
/// more rows than columns. To maximise, negate the costs.
///
/// # Errors
/// [`AssignmentError`] where the costs are not such a matrix, or one of them is not a usable number.
pub fn linear_sum_assignment(
    costs: &[f64],
    rows: usize,
    columns: usize,
) -> Result<Vec<Option<usize>>, AssignmentError> {
    if rows.checked_mul(columns) != Some(costs.len()) {
        return Err(AssignmentError::Shape { rows, columns, found: costs.len() });
    }
    if let Some(i) = costs.iter().position(|c| c.is_nan() || c.abs() > LARGEST) {
        return Err(AssignmentError::Cost { row: i / columns, column: i % columns, cost: costs[i] });
    }
    if rows <= columns {
        Ok(match_rows(|r, c| costs[r * columns + c], rows, columns).into_iter().map(Some).collect())
    } else {
        // The search needs at least as many columns as rows: match the other way round, then turn the pairs about.
        let mut matched = vec![None; rows];
        let rows_of = match_rows(|c, r| costs[r * columns + c], columns, rows);
        for (column, row) in rows_of.into_iter().enumerate() {
            matched[row] = Some(column);
        }
        Ok(matched)
    }
}

/// The column matched to each row; rows <= columns.
///
/// Where several matchings are best, the order of the search decides. It is that of SciPy, step by step, so that scores
/// that depend on which one is taken (the accuracy of each class) are those of published code.
fn match_rows(cost: impl Fn(usize, usize) -> f64, rows: usize, columns: usize) -> Vec<usize> {
    let mut row_potential = vec![0.0; rows];
    let mut column_potential = vec![0.0; columns];
    let mut column_of: Vec<Option<usize>> = vec![None; rows];
    let mut row_of: Vec<Option<usize>> = vec![None; columns];

    for start in 0..rows {
        let mut distance = vec![f64::INFINITY; columns];
        // The row from which each column was last reached.
        let mut from = vec![start; columns];
        // Backwards, so that equal costs everywhere give the identity.
        let mut remaining: Vec<usize> = (0..columns).rev().collect();
        let (mut row, mut travelled) = (start, 0.0);
        let mut visited = Vec::new();

        let end = loop {
            let (mut nearest, mut least) = (0, f64::INFINITY);
            for (position, &column) in remaining.iter().enumerate() {
                let reduced = cost(row, column) - row_potential[row] - column_potential[column];
                let through = travelled + reduced;
                if through < distance[column] {
                    distance[column] = through;
                    from[column] = row;
                }
                // Among equals a free column ends the search.
                let free = row_of[column].is_none();
                if distance[column] < least || (distance[column] == least && free) {
                    (nearest, least) = (position, distance[column]);
                }
            }
            // Never empty: with no more rows than columns, a free column is left until the search ends.
            let column = remaining.swap_remove(nearest);
            travelled = least;
            match row_of[column] {
                None => break column,
                Some(next) => {
                    visited.push(column);
                    row = next;
                }
            }
        };

        // Keep reduced costs non-negative, and zero along the path.
        row_potential[start] += travelled;
        for column in visited {
            let slack = travelled - distance[column];
            column_potential[column] -= slack;
            if let Some(row) = row_of[column] {
                row_potential[row] += slack;
            }
        }

        // Turn the path over: every row on it takes the column it was searched from.
        let mut column = end;
        loop {
            let row = from[column];
            row_of[column] = Some(row);
            match column_of[row].replace(column) {
                Some(previous) => column = previous,
                None => break,
            }
        }
    }
    column_of.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// The least cost over all matchings, by trying every one.
    fn brute_force(costs: &[f64], rows: usize, columns: usize) -> f64 {
        fn go(costs: &[f64], rows: usize, columns: usize, row: usize, used: &mut Vec<bool>, skips: usize) -> f64 {
            if row == rows {
                return 0.0;
            }
            let mut best = f64::INFINITY;
            if skips > 0 {
                best = go(costs, rows, columns, row + 1, used, skips - 1);
            }
            for c in 0..columns {
                if !used[c] {
                    used[c] = true;
                    let rest = go(costs, rows, columns, row + 1, used, skips);
                    best = best.min(costs[row * columns + c] + rest);
                    used[c] = false;
                }
            }
            best
        }
        go(costs, rows, columns, 0, &mut vec![false; columns], rows.saturating_sub(columns))
    }

    fn cost_of(costs: &[f64], columns: usize, matched: &[Option<usize>]) -> f64 {
        matched.iter().enumerate().filter_map(|(r, c)| c.map(|c| costs[r * columns + c])).sum()
    }

    #[test]
    fn equals_brute_force_on_small_matrices() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for case in 0..600 {
            let (rows, columns) = (rng.random_range(1..=6), rng.random_range(1..=6));
            // Every third case has few distinct costs, so that there are ties.
            let costs: Vec<f64> = (0..rows * columns)
                .map(|_| if case % 3 == 0 { f64::from(rng.random_range(-2..=2)) } else { rng.random_range(-5.0..5.0) })
                .collect();
            let matched = linear_sum_assignment(&costs, rows, columns).expect("valid costs");
            let mut taken: Vec<usize> = matched.iter().flatten().copied().collect();
            assert_eq!(taken.len(), rows.min(columns));
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), rows.min(columns), "a column was used twice");
            let (ours, best) = (cost_of(&costs, columns, &matched), brute_force(&costs, rows, columns));
            assert!((ours - best).abs() < 1e-9, "case {case}, {rows} x {columns}: {ours} against {best}");
        }
    }

    #[test]
    fn large_matrices_finish_and_find_a_planted_matching() {
        let n = 300;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let mut costs: Vec<f64> = (0..n * n).map(|_| rng.random_range(1.0..2.0)).collect();
        for row in 0..n {
            costs[row * n + (row * 7 + 3) % n] = 0.0;
        }
        let matched = linear_sum_assignment(&costs, n, n).expect("valid costs");
        assert!(matched.iter().enumerate().all(|(row, c)| *c == Some((row * 7 + 3) % n)));
    }

    #[test]
    fn bad_input_is_an_error() {
        assert_eq!(linear_sum_assignment(&[1.0], 2, 2), Err(AssignmentError::Shape { rows: 2, columns: 2, found: 1 }));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            let error = linear_sum_assignment(&[0.0, 0.0, 0.0, bad], 2, 2).expect_err("unusable cost");
            assert!(error.to_string().contains("row 1, column 1"), "{error}");
        }
        assert_eq!(linear_sum_assignment(&[], 0, 3), Ok(vec![]));
        assert_eq!(linear_sum_assignment(&[], 2, 0), Ok(vec![None, None]));
    }
}
