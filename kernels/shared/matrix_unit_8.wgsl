// Matrices of matrix units that multiply 8 x 8 by 8 x 8: two factors, and what their product is added to.

alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;
