
EVENTanswered‡¨≈¢å4system"answeredär1íwd7npwczn7b3nlnexxbr2a5ubt≤author